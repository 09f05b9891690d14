"""Binds on a platform whose rules portcheck does not know: only what is refused on every known one is called refused.

Every socket API refuses the address and port of a TCP listener, or of any unconnected socket, to a bind that asks for
no sharing.  Whatever else overlaps is left open.
"""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.dual_stack import is_connected, met

if TYPE_CHECKING:
    from portcheck.model import BindRequest, Socket


def conflict(new: BindRequest, old: Socket) -> bool | None:
    """True for the very address of a socket that does not share it, None for any other overlap, else False."""
    if not met(new, old, usually_dual=True):
        return False
    same_address = unmapped(new.address) == unmapped(old.local_address)
    shares = new.reuseport or (new.reuseaddr and old.state != "LISTEN")
    return True if same_address and not shares and not is_connected(old) else None
