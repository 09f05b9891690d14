"""Binds on a platform whose rules portcheck does not know: only what is refused on every known one is called refused.

Every socket API refuses the address and port of a TCP listener, or of any unconnected socket, to a bind that asks for
no sharing.  Whatever else overlaps is left open.
"""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.rules.stacks import bound_addresses, is_connected, pairs, same_port
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import BindRequest, Socket


def conflict(new: BindRequest, old: Socket) -> bool | None:
    """True for the very address of a socket that does not share it, None for any other overlap, else False."""
    if not same_port(new, old) or not _overlap(new, old):
        return False
    same_address = unmapped(new.address) == unmapped(old.local_address)
    shares = new.reuseport or (new.reuseaddr and old.state != "LISTEN")
    return True if same_address and not shares and not is_connected(old) else None


def _overlap(new: BindRequest, old: Socket) -> bool:
    return bool(
        pairs(
            bound_addresses(new.address, dual_stack=not new.v6only),
            bound_addresses(old.local_address, dual_stack=not old.v6only),
        )
    )
