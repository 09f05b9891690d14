"""When Linux refuses a bind because of one other socket: the kernel's own steps, on values.

Source: inet_csk_get_port, inet_bind_conflict, inet_rcv_saddr_equal, udp_lib_lport_inuse (Linux 6.12 read; 5.10, 6.1,
6.12, 6.18 and 7.2 measured: `tests/system/test_matrix.py` compares every pair with bind() and listen(), `test_vrf.py`
those of a host with VRFs). The rule is exact for two sockets. With more, it can only be too strict, and only where
SO_REUSEPORT was used on the port before: TCP remembers the last such socket of a port, UDP lets the first overlapping
one decide (`tests/system/test_histories.py`).
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, MAPPED, is_mapped, unmapped
from portcheck.model import Network
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.three_valued import all_of, negate

if TYPE_CHECKING:
    from portcheck.model import BindRequest, Socket

# The kernel's LOOPBACK4_IPV6: what stands in the IPv4 field of an IPv6 socket with a concrete address.
INNER_IPV4 = "127.0.0.6"
MAPPED_ANY4 = MAPPED + ANY4
# From 6.1 on TCP looks a concrete address up in a table by address (inet_bhash2), which did not always show all.
FIRST_BY_ADDRESS, FIRST_THAT_FINDS_ALL = (6, 1), (6, 12)
USUAL = Network()


def conflict(new: BindRequest, old: Socket, network: Network = USUAL) -> bool | None:
    """Whether `old` refuses `new` with EADDRINUSE; None where that depends on what cannot be read."""
    if new.protocol != old.protocol or new.port != old.local_port or _holds_no_port(old):
        return False
    if new.device and old.interface and new.device != old.interface:
        return False
    overlap = _overlap(new, old, network.release)
    if overlap is False:
        return False
    together = negate(_apart(new, old, network))
    return all_of(together, overlap, negate(_address_reuse(new, old)), negate(_port_sharing(new, old)))


def _apart(new: BindRequest, old: Socket, network: Network) -> bool | None:
    """Whether VRFs keep the two apart: each has TCP ports of its own, unless tcp_l3mdev_accept is set.

    inet_bind_bucket_match compares inet_sk_bound_l3mdev.  UDP's table knows no VRFs, whatever udp_l3mdev_accept says
    (`tests/system/test_vrf.py`, on 5.10, 6.1, 6.12 and 7).
    """
    if new.protocol == "udp" or new.device == old.interface:
        return False
    mine, its = network.vrf(new.device), network.vrf(old.interface)
    different = None if mine is None or its is None else mine != its
    return all_of(different, negate(network.l3mdev_accept.get(new.protocol)))


def _holds_no_port(old: Socket) -> bool:
    """A half-open connection is a request of its listener, not a socket: it is in no bind table."""
    return old.state == "SYN-RECEIVED" and old.inode == 0


def _overlap(new: BindRequest, old: Socket, release: tuple[int, ...]) -> bool | None:
    """inet_rcv_saddr_equal: whether some packet could be meant for either."""
    if _is_plain_ipv6(new.address):
        if _is_plain_ipv6(old.local_address):
            return new.address == old.local_address or ANY6 in (new.address, old.local_address)
        return new.address == ANY6 and not new.v6only
    if old.local_address == ANY6:
        return negate(old.v6only)
    if _is_plain_ipv6(old.local_address):
        return _inner_overlap(new, old, release)
    ipv4, other = unmapped(new.address), unmapped(old.local_address)
    if new.protocol == "tcp" and is_mapped(new.address) and ipv4 != ANY4 and old.local_address == MAPPED_ANY4:
        return _finds_mapped_wildcard(release)
    return ipv4 == other or ANY4 in (ipv4, other)


def _finds_mapped_wildcard(release: tuple[int, ...]) -> bool | None:
    """Whether TCP sees a held ::ffff:0.0.0.0 when it is asked for ::ffff:127.0.0.1: in 6.1 others decide that."""
    return None if not release or FIRST_BY_ADDRESS <= release < FIRST_THAT_FINDS_ALL else True


def _is_plain_ipv6(address: str) -> bool:
    return ":" in address and not is_mapped(address)


def _inner_overlap(new: BindRequest, old: Socket, release: tuple[int, ...]) -> bool | None:
    """A quirk: a concrete IPv6 socket that is not v6only also counts as one on INNER_IPV4, for AF_INET sockets.

    bind() to a concrete address forces v6only, so only an accepted child of `::`, and a client that never chose its
    address, are such sockets.  The table by address, which TCP has from 6.1 on, does not show them.
    """
    if new.family == "ipv6" or new.address not in (ANY4, INNER_IPV4) or _chose_its_address(old):
        return False
    by_address = new.protocol == "tcp" and new.address != ANY4
    shown = not by_address or (release < FIRST_BY_ADDRESS if release else None)
    return all_of(shown, negate(old.v6only))


def _chose_its_address(old: Socket) -> bool:
    return old.state == "LISTEN" or (old.protocol == "udp" and old.remote_address is None)


def _address_reuse(new: BindRequest, old: Socket) -> bool | None:
    """SO_REUSEADDR on both lets both have the port; for TCP only while the other does not listen."""
    if not new.reuseaddr or old.state == "LISTEN":
        return False
    return old.reuseaddr


def _port_sharing(new: BindRequest, old: Socket) -> bool | None:
    """SO_REUSEPORT on both, by the same user, lets both have it; whose a TIME_WAIT entry was no longer matters."""
    if not new.reuseport:
        return False
    return all_of(old.reuseport, _same_user(new, old))


def _same_user(new: BindRequest, old: Socket) -> bool | None:
    if old.state == "TIME-WAIT" or old.minisocket:
        return True
    if new.uid is None or old.uid is None:
        return None
    return new.uid == old.uid
