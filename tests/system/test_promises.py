"""What SECURITY.md promises besides what test_structure.py shows: looking writes nothing and sends no signal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.portcheck_command import PORTCHECK

CHANGES = re.compile(
    r"O_WRONLY|O_RDWR|O_CREAT|\b(?:un)?link(?:at)?\(|\brename\w*\(|\bmkdir\w*\(|\b(?:f?ch(?:own|mod)\w*)\("
)
SIGNALS = re.compile(r"\b(?:kill|tkill|tgkill|pidfd_send_signal)\(")


@pytest.mark.parametrize(
    "args",
    [
        ("8000",),
        ("8000", "-v", "--json"),
        ("list", "--all"),
        ("watch", "--initial", "--for", "0"),
        ("pick", "8000-8002"),
        ("stop", "8000", "--dry-run"),
        ("preflight",),
    ],
    ids=" ".join,
)
def test_looking_writes_no_file_and_sends_no_signal(args: tuple[str, ...], host: Host, tmp_path: Path) -> None:
    need("strace")
    (tmp_path / "portcheck.toml").write_text("[ports]\nweb = 8000\n")
    trace = tmp_path / "trace"
    host.hold("127.0.0.1", 8000)
    watched = ["strace", "-f", "-qq", "-e", "trace=%file,%signal,pidfd_send_signal", "-o", str(trace), str(PORTCHECK)]
    done = host.run([*watched, *args], check=False, env={"PYTHONDONTWRITEBYTECODE": "1"}, cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    calls = [line for line in trace.read_text(errors="replace").splitlines() if "ENOENT" not in line]
    assert any("openat(" in line for line in calls)
    # the null device is where a tool's unwanted words go
    assert [line for line in calls if CHANGES.search(line) and '"/dev/null"' not in line] == []
    assert [line for line in calls if SIGNALS.search(line)] == []
