"""Everybody on this host: which processes there are, and who listens where.  For who has to know what ends together."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.snapshot import listeners_with_pids
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.model import Process, Socket


def residents() -> Mapping[int, Process]:
    """Every process by its PID, with no more than what tells who belongs together."""
    return BACK_END.residents()


def sockets_held() -> dict[int, list[Socket]]:
    """What listens or is bound, by the PIDs of its holders."""
    held: dict[int, list[Socket]] = {}
    for socket in listeners_with_pids():
        for pid in socket.pids or ():
            held.setdefault(pid, []).append(socket)
    return held
