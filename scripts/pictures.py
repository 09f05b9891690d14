"""Draws docs/pictures/: what portcheck shows at ann's terminal, on light and on dark pages.

With --check it only says whether they are current.  Every picture is a real run on a made-up host
(tests/support/anns_computer.py); rich reads the colours and draws.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

from support.anns_computer import at_work  # noqa: E402 - found by the line above
from support.rigs.sandbox import RigUnavailableError  # noqa: E402

PICTURES = CHECKOUT / "docs" / "pictures"
WIDTH, MARGIN = 80, 2  # columns
LINES = {
    "check": "portcheck 3000",
    "shared": "portcheck 8080",
    "several": "portcheck 3000 5432 6379 8000-8010",
    "list": "portcheck list",
    "chain": "portcheck list -v 3000",
    "stop": "portcheck stop 3000 --dry-run",
}
# Fonts that are there: a code host lets a picture fetch nothing.  rich fixes how long each piece is, in any of them.
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
FORMAT = """\
<svg class="rich-terminal" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>TITLE</title>
<style>
.rich-terminal > rect {{ stroke: BORDER }}
.rich-terminal > text {{ font: 15px system-ui, sans-serif; fill-opacity: 0.6 }}
.{unique_id}-matrix {{ font-family: FONTS; font-size: {char_height}px; line-height: {line_height}px }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
RGB = tuple[int, int, int]


class Page(NamedTuple):
    """The colours of a page, and of a terminal that goes with it."""

    background: RGB
    text: RGB
    border: str
    # black, red, green, yellow, blue, magenta, cyan, white, each readable on the background
    colours: tuple[RGB, RGB, RGB, RGB, RGB, RGB, RGB, RGB]

    def theme(self) -> TerminalTheme:
        return TerminalTheme(self.background, self.text, list(self.colours), list(self.colours))


PAGES = {
    "light": Page(
        (255, 255, 255), (31, 35, 40), "#d0d7de",
        ((31, 35, 40), (192, 28, 40), (26, 127, 55), (154, 103, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131),
         (89, 99, 110)),
    ),
    "dark": Page(
        (13, 17, 23), (230, 237, 243), "#3d444d",
        ((72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255),
         (86, 212, 221), (230, 237, 243)),
    ),
}  # fmt: skip


def pictures() -> Iterator[tuple[Path, str]]:
    """Every picture, and where it belongs."""
    with at_work() as host:
        shown = {name: host.types(line, width=WIDTH, colour=True) for name, line in LINES.items()}
    for name, line in LINES.items():
        for page, colours in PAGES.items():
            yield PICTURES / f"{name}-{page}.svg", drawn(f"{name}-{page}", line, shown[name], colours)


def drawn(identifier: str, line: str, shown: str, page: Page) -> str:
    """A terminal in which this line was typed."""
    console = Console(width=WIDTH + MARGIN, record=True, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), line))
    console.print(Text.from_ansi(shown))
    template = FORMAT.replace("TITLE", line).replace("BORDER", page.border).replace("FONTS", FONTS)
    picture = console.export_svg(title=line, theme=page.theme(), code_format=template, unique_id=identifier)
    return "".join(f"{text.strip()}\n" for text in picture.splitlines() if text.strip())


def not_current(drawn_now: Mapping[Path, str]) -> list[Path]:
    """The pictures that are missing, differ, or are no longer drawn."""
    texts = {path: path.read_text(encoding="utf-8") for path in PICTURES.glob("*.svg")}
    return sorted(path for path in texts.keys() | drawn_now.keys() if texts.get(path) != drawn_now.get(path))


def main() -> None:
    try:
        drawn_now = dict(pictures())
    except RigUnavailableError as reason:
        sys.exit(f"pictures: {reason}")
    old = not_current(drawn_now)
    if "--check" in sys.argv:
        sys.exit(f"not current: {', '.join(path.name for path in old)}: run scripts/pictures" if old else 0)
    for path in old:
        path.unlink(missing_ok=True)
        if path in drawn_now:
            path.write_text(drawn_now[path], encoding="utf-8")


if __name__ == "__main__":
    main()
