from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import generated
from support.examples import httpd_everywhere

from portcheck.model import Sentence, Socket

PIDS = st.none() | st.lists(st.integers(1, 9), max_size=3).map(tuple)


@given(generated.socket, st.none() | st.text(), PIDS, st.none() | st.booleans())
def test_held_is_a_quick_replace(
    socket: Socket, user: str | None, pids: tuple[int, ...] | None, mptcp: bool | None
) -> None:
    assert socket.held(user, pids, mptcp=mptcp) == socket._replace(user=user, pids=pids, mptcp=mptcp)


@pytest.mark.parametrize(
    ("sentence", "message", "clause"),
    [
        (Sentence("port 80", "is", "in use", "httpd has it"), "Port 80 is in use: httpd has it.",
         "port 80 is in use: httpd has it"),
        (Sentence("UDP port 53", "is", "free on ::1"), "UDP port 53 is free on ::1.", "UDP port 53 is free on ::1"),
        (Sentence("flask run --port 80", "would", "fail", "httpd has it", proper=True),
         "flask run --port 80 would fail: httpd has it.", "flask run --port 80 would fail: httpd has it"),
    ],
)  # fmt: skip
def test_a_sentence_stands_alone_and_within_others(sentence: Sentence, message: str, clause: str) -> None:
    assert (str(sentence), sentence.line, sentence.clause) == (message, message[:-1], clause)


def test_a_diagnosis_is_told_by_its_sentence() -> None:
    found = httpd_everywhere()
    assert found.message == str(found.sentence) == found.to_dict()["message"]
    assert "sentence" not in found.to_dict()
