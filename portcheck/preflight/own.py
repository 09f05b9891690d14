"""portcheck's own declaration: `[tool.portcheck]` in pyproject.toml, or portcheck.toml.

host = "127.0.0.1"                  # for every port below that says nothing else; so do protocol and profile

[ports]                             # [tool.portcheck.ports] in pyproject.toml
web = 8000
dns = "53/udp"                      # any TARGET of the command line
workers = ["9001-9004", 9010]
api = { port = 8001, host = "0.0.0.0", fallback = ["8002-8010"] }
"""

from __future__ import annotations

import re
import tomllib

from portcheck.errors import UsageError
from portcheck.preflight.declare import Declaration, PreflightError, Reading, shown
from portcheck.preflight.ownports import DEFAULTS, Defaults, Written, declared
from portcheck.preflight.text import Allowance, read_text
from portcheck.preflight.tomlines import lines_of
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def read_own(path: Path) -> Reading:
    """Every port of the declaration; none where a pyproject.toml has no `[tool.portcheck]`.

    Raises PreflightError: broken TOML, an unknown key, a value that is no port.
    """
    file, text = str(path), read_text(path)
    prefix = ("tool", "portcheck") if path.name == "pyproject.toml" else ()
    table = _parse(text, file)
    for key in prefix:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    if not table:
        return Reading((file,))
    lines = lines_of(text, prefix)
    allowance = Allowance()
    found: list[Declaration] = []
    at = Written(file, lines.get((), 1), "")
    try:
        ports = _ports(table)
        defaults = Defaults.read(table)
        for name, value in ports.items():
            at = Written(file, lines.get(("ports", name), at.line), name)
            for each in declared(value, defaults, at):
                allowance.spend(1 + len(each.fallback), file, at.line)
                found.append(each)
    except UsageError as error:
        raise PreflightError(file, at.line, f"{at.name}: {error.cause}" if at.name else error.cause) from None
    return Reading((file,), tuple(found))


def _parse(text: str, file: str) -> Any:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than int() takes
        place = re.search(r"at (?:line (\d+)|end of document)", str(error))
        line = int(place[1] or text.count("\n") + 1) if place else None
        raise PreflightError(file, line, f"broken TOML: {error}") from None
    except RecursionError:
        raise PreflightError(file, None, "nested too deep") from None


def _ports(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError("portcheck is a table")
    for key in table:
        if key not in (*DEFAULTS, "ports"):
            raise UsageError(f"unknown key {shown(key)}; accepted: {', '.join(DEFAULTS)}, ports")
    ports = table.get("ports", {})
    if not isinstance(ports, dict):
        raise UsageError("ports is a table of names, such as ports.web = 8000")
    return ports
