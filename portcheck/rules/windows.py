"""When Windows refuses a second bind of a port: Microsoft's table, as data.

Source: "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE" (Microsoft Learn), Windows Server 2003 and later; not run on a real
Windows.  Nobody but its owner can read how the first socket was bound, so the table is asked for every way that is
possible, and an answer is certain only where all of them agree.

A dual-stack socket is one endpoint on each stack, shown as a row of each ("Dual Stack Sockets on Windows Vista",
Microsoft; nodejs/node#9390), so a row with an unknown v6only stands for its own stack alone.
"""

from __future__ import annotations

from portcheck.addresses import is_wildcard
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.dual_stack import is_connected, met
from portcheck.rules.three_valued import agreed, any_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from portcheck.model import BindRequest, Socket

    Options = Literal["default", "reuse", "exclusive"]
    Scope = Literal["wildcard", "specific"]
    Result = Literal["ok", "WSAEADDRINUSE", "WSAEACCES"]
    Table = Mapping[tuple[Options, Scope], tuple[Result, ...]]

_OK: Result = "ok"
_IN_USE: Result = "WSAEADDRINUSE"
_ACCESS: Result = "WSAEACCES"

# The columns: how the second socket binds.
SECOND: tuple[tuple[Options, Scope], ...] = (
    ("default", "wildcard"), ("default", "specific"),
    ("reuse", "wildcard"), ("reuse", "specific"),
    ("exclusive", "wildcard"), ("exclusive", "specific"),
)  # fmt: skip
# The rows: how the first did.  Specific against specific means the same address; others never meet.
SAME_USER: Table = {
    ("default", "wildcard"): (_IN_USE, _OK, _ACCESS, _OK, _IN_USE, _OK),
    ("default", "specific"): (_OK, _IN_USE, _OK, _ACCESS, _IN_USE, _IN_USE),
    ("reuse", "wildcard"): (_IN_USE, _OK, _OK, _OK, _IN_USE, _OK),
    ("reuse", "specific"): (_OK, _IN_USE, _OK, _OK, _IN_USE, _IN_USE),
    ("exclusive", "wildcard"): (_IN_USE, _ACCESS, _ACCESS, _ACCESS, _IN_USE, _ACCESS),
    ("exclusive", "specific"): (_OK, _IN_USE, _OK, _ACCESS, _IN_USE, _IN_USE),
}
# Another user's wildcard socket is protected from specific binds unless it and they ask to reuse.
OTHER_USER: Table = {
    **SAME_USER,
    ("default", "wildcard"): (_IN_USE, _ACCESS, _ACCESS, _ACCESS, _IN_USE, _ACCESS),
    ("reuse", "wildcard"): (_IN_USE, _ACCESS, _OK, _OK, _IN_USE, _ACCESS),
}


def result(first: tuple[Options, Scope], second: tuple[Options, Scope], *, same_user: bool) -> Result:
    """The cell of Microsoft's table."""
    return (SAME_USER if same_user else OTHER_USER)[first][SECOND.index(second)]


def conflict(new: BindRequest, old: Socket) -> bool | None:
    """Whether `old` refuses `new`; None where that depends on options or on a user that cannot be read."""
    met = _met(new, old)
    if not met:
        return False
    if is_connected(old):
        return _connection_conflict(new, old)
    return any_of(*(_refused(new, old, asked, held) for asked, held in met))


def shadows(new: BindRequest, old: Socket) -> bool:
    """Whether the two would share clients, if Windows lets both be bound: the more specific one gets its address's."""
    return bool(_met(new, old)) and not is_connected(old)


def _met(new: BindRequest, old: Socket) -> list[tuple[str, str]]:
    return met(new, old, usually_dual=False)


def _connection_conflict(new: BindRequest, old: Socket) -> bool | None:
    """TIME_WAIT stops nobody but, by some accounts, an exclusive bind; of live ones Microsoft says too little."""
    return False if old.state == "TIME-WAIT" and not new.exclusive else None


def _refused(new: BindRequest, old: Socket, asked: str, held: str) -> bool | None:
    second = _options(new), _scope(asked)
    return agreed({
        result((options, _scope(held)), second, same_user=same_user) != _OK
        for options in _possible_options(old)
        for same_user in _possible_users(new, old)
    })  # fmt: skip


def _options(new: BindRequest) -> Options:
    return "exclusive" if new.exclusive else "reuse" if new.reuseaddr else "default"


def _scope(address: str) -> Scope:
    return "wildcard" if is_wildcard(address) else "specific"


def _possible_options(old: Socket) -> tuple[Options, ...]:
    if old.reuseaddr is None:
        return ("default", "reuse", "exclusive")
    return ("reuse",) if old.reuseaddr else ("default", "exclusive")


def _possible_users(new: BindRequest, old: Socket) -> tuple[bool, ...]:
    return (True, False) if new.uid is None or old.uid is None else (new.uid == old.uid,)
