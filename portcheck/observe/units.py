"""The .socket units of a systemd, by systemctl(1)."""

from __future__ import annotations

import os

from portcheck.identify.activation import PROPERTIES, read_units
from portcheck.observe.asking import NoAnswerError, ask
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.identify.activation import SocketUnit
    from portcheck.observe.asking import Patience


def socket_units(user_id: int | None, patience: Patience) -> tuple[SocketUnit, ...]:
    """The active ones of the system's manager, or of a user's.  Raises NoAnswerError.

    `show` prints `Property=value`, never localized, in every version; `list-sockets` is a table, and its JSON
    (systemd 246 and later) leaves out whether a socket is TCP or UDP.
    """
    properties = f"--property={','.join(PROPERTIES)}"
    answer = ask(("systemctl", *_manager(user_id), "show", "*.socket", properties), patience, _runtime(user_id))
    if not answer.ok:
        line = next(iter(answer.err.strip().splitlines()), "no reason given")
        raise NoAnswerError(f"gave no answer ({line[:160]})")
    return read_units(answer.out)


def _manager(user_id: int | None) -> tuple[str, ...]:
    """Another user's manager is reached through a login of its own (only root may)."""
    if user_id is None:
        return ()
    return ("--user",) if user_id == os.getuid() else ("--user", f"--machine={user_id}@")


def _runtime(user_id: int | None) -> dict[str, str]:
    """Where one's own manager listens: sudo and cron do not set it."""
    if user_id is None or "XDG_RUNTIME_DIR" in os.environ:
        return {}
    return {"XDG_RUNTIME_DIR": f"/run/user/{user_id}"}
