"""Which of a failed program's words tell why it failed."""

from __future__ import annotations

import pytest

from portcheck.observe.subprocesses import LONGEST_REASON, reason

WORDS = {
    "sudo: unable to resolve host box: Name or service not known\nsudo: a password is required\n": (
        "sudo: a password is required"
    ),
    "Failed to stop x.service: Access denied\nSee system logs and 'systemctl status x.service' for details.\n": (
        "Failed to stop x.service: Access denied"
    ),
    "(node:7) Warning: punycode has failed us\n[PM2][ERROR] Process or Namespace web not found\n": (
        "[PM2][ERROR] Process or Namespace web not found"
    ),
    'Traceback (most recent call last):\n  File "/bin/x", line 1: error\nOSError: no room\n': "OSError: no room",
    "one moment\nweb: ERROR (no such process)\n": "web: ERROR (no such process)",
    "usage: x\n": "usage: x",
    "warning: old\n": "warning: old",
    " \n": "no reason given",
    "error" * 99: ("error" * 99)[:LONGEST_REASON],
}


@pytest.mark.parametrize(("words", "expected"), WORDS.items())
def test_the_line_that_tells_why(words: str, expected: str) -> None:
    assert reason(words) == expected
