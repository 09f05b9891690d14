"""A page in headless Chromium: what a script finds there, and a picture."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def is_there() -> bool:
    return shutil.which("chromium") is not None


def found(page: Path, script: str, *, width: int = 1280) -> Any:
    """The value of a script that runs when the page has been read; it may be anything that JSON knows."""
    told = f"<script>document.title = 'FOUND ' + JSON.stringify((() => {{ {script} }})())</script>"
    with tempfile.TemporaryDirectory() as work:
        changed = Path(work, "page.html")
        changed.write_text(POLICY.sub("", page.read_text(encoding="utf-8")) + told, encoding="utf-8")
        text = _run(work, f"--window-size={width},900", "--dump-dom", changed.as_uri())
    answer = re.search(r"<title>FOUND (.*?)</title>", text)
    assert answer, text[:2000]
    return json.loads(html.unescape(answer[1]))


def picture(page: Path, target: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
    """The page as it looks."""
    dark_mode = ["--blink-settings=preferredColorScheme=0"] if dark else []
    with tempfile.TemporaryDirectory() as work:
        size = [f"--window-size={width},{height}", "--hide-scrollbars"]
        _run(work, *size, *dark_mode, f"--screenshot={target}", page.as_uri())


def _run(work: str, *arguments: str) -> str:
    alone = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={work}/profile"]
    done = subprocess.run(
        ["chromium", *alone, *arguments], capture_output=True, text=True, timeout=120, check=False, env={
            "HOME": work, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
