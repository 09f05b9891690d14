"""What strangers say reaches no terminal raw, whichever command passes it on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.namespaces import Host
from support.processes import HOLDER, SYSTEM_PYTHON

PORT = "8000"
SAID = "\x1b]0;owned\x07\x1b[2J\u202edenied"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\u202edenied"


@pytest.fixture
def rude(host: Host, tmp_path: Path) -> dict[str, str]:
    """An environment whose `docker` fails with escape codes in its words; a docker-proxy makes portcheck ask it."""
    (tmp_path / "words").write_text(SAID, encoding="utf-8")
    (tmp_path / "docker").write_text(f"#!/bin/sh\ncat {tmp_path}/words >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    as_proxy = f'exec -a docker-proxy {SYSTEM_PYTHON} -c "$@"'
    host.start(["bash", "-c", as_proxy, "bash", HOLDER, "192.0.2.7", PORT], ready=b"ready")
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    "args",
    [(PORT,), ("check", "-v", PORT), ("list",), ("list", "--pids"), ("list", "--all", PORT),
     ("watch", "--for", "0", "--initial"), ("pick", "--host", "127.0.0.1", PORT),
      ("stop", PORT, "--dry-run"), ("wait", "--free", "--fail-fast", PORT),
     ("run", PORT, "8001", "--", "true")],
    ids=" ".join,
)  # fmt: skip
def test_nobody_elses_bytes_steer_the_terminal(host: Host, rude: dict[str, str], args: tuple[str, ...]) -> None:
    done = host.portcheck(*args, env=rude)
    assert all(character.isprintable() for character in (done.stdout + done.stderr).replace("\n", ""))
    assert done.returncode != 70


REMEDY = "→ see whether 'docker ps' answers"


@pytest.mark.parametrize(
    ("args", "where"),
    [((PORT,), "stdout"), (("list",), "stderr")],
    ids=["check", "list"],
)
def test_a_blind_spot_is_the_same_line_everywhere(
    host: Host, rude: dict[str, str], args: tuple[str, ...], where: str
) -> None:
    done = host.portcheck(*args, env=rude)
    lines = [line.strip() for line in getattr(done, where).splitlines() if "not seen: " in line]
    assert lines == [f"not seen: docker gave no answer ({SHOWN}): which container it is stays unknown {REMEDY}"]


def test_json_has_the_words_as_they_are(host: Host, rude: dict[str, str]) -> None:
    (spot,) = json.loads(host.portcheck("list", "--json", env=rude).stdout)["blind_spots"]
    assert SAID in spot["message"]
