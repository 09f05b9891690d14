from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support import generated

from portcheck.model import Socket

PIDS = st.none() | st.lists(st.integers(1, 9), max_size=3).map(tuple)


@given(generated.socket, st.none() | st.text(), PIDS, st.none() | st.booleans())
def test_held_is_a_quick_replace(
    socket: Socket, user: str | None, pids: tuple[int, ...] | None, mptcp: bool | None
) -> None:
    assert socket.held(user, pids, mptcp=mptcp) == socket._replace(user=user, pids=pids, mptcp=mptcp)
