"""`watch` where looks fail: each reason is told once, and ends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support.examples import listener

from portcheck.commands import watch
from portcheck.requests import WatchRequest
from portcheck.watching.changes import Event
from portcheck.watching.look import Watcher

if TYPE_CHECKING:
    from portcheck.requests import Face

OPENED = Event("opened", 1, 0.0, listener("127.0.0.1", 8000, 812), times=1)


def sees(monkeypatch: pytest.MonkeyPatch, *looks: list[Event] | str) -> None:
    """What each look gives, or why it fails."""
    left: Iterator[list[Event] | str] = iter(looks)

    def look(_: Watcher) -> list[Event]:
        given = next(left)
        if isinstance(given, str):
            raise OSError(given)
        return given

    monkeypatch.setattr(Watcher, "__call__", look)


@pytest.mark.parametrize("face", ["auto", "json"])
def test_a_look_that_fails_is_told_and_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face: Face
) -> None:
    sees(monkeypatch, "no \x1b[31m", [], "no more", "no more", "no memory", [OPENED])
    assert watch.run(WatchRequest(interval=0.01, exit_on="opened", face=face)) == 0
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if "a look has failed" in line] == [
        f"portcheck: a look has failed ({why}); the next one is taken in its turn"
        for why in ("no \\x1b[31m", "no more", "no memory")
    ]
    assert len(said.out.splitlines()) == (2 if face == "auto" else 1)


def test_if_the_last_look_failed_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sees(monkeypatch, "no more")
    assert watch.run(WatchRequest(seconds=0)) == 3
    assert capsys.readouterr().out == ""
