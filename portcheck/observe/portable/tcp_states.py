"""TCP's states as other tools spell them: psutil, lsof and the kernels behind it differ in underlines alone."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import State

_STATES: dict[str, State] = {
    "LISTEN": "LISTEN",
    "SYNSENT": "SYN-SENT",
    "SYNRECV": "SYN-RECEIVED",
    "SYNRCVD": "SYN-RECEIVED",
    "SYNRECEIVED": "SYN-RECEIVED",
    "ESTABLISHED": "ESTABLISHED",
    "FINWAIT1": "FIN-WAIT-1",
    "FINWAIT2": "FIN-WAIT-2",
    "CLOSEWAIT": "CLOSE-WAIT",
    "CLOSING": "CLOSING",
    "LASTACK": "LAST-ACK",
    "TIMEWAIT": "TIME-WAIT",
}


def state_named(word: str) -> State | None:
    """`FIN_WAIT1` and `FIN_WAIT_1` → RFC 9293's FIN-WAIT-1; None for a word that is none of a connection's states."""
    return _STATES.get(word.replace("_", ""))
