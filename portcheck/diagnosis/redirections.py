"""What sends clients past the sockets of a port, in words.  Pure."""

from __future__ import annotations

from portcheck.model import Note
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Origin, Redirection, Scene
    from portcheck.target import Endpoint

MOST_TARGETS = 3
LONGEST_COMMENT = 80
FROM = {"outside": " from outside", "here": " from this host itself", "": ""}
UNREACHED = {
    "outside": "a server that listens here is reached from this host alone",
    "here": "this host itself does not reach a server that listens here",
    "": "nobody reaches a server that listens here",
}


class Way(NamedTuple):
    """Redirections that differ in nothing but where they lead."""

    by: str
    origin: str  # an `Origin`, or "" for both
    place: str
    only_by: tuple[str, ...]
    not_by: tuple[str, ...]

    @property
    def interfaces(self) -> str:
        """By which their connections come in, as a part of a sentence."""
        if self.only_by:
            return f" that come in by {' or '.join(self.only_by)}"
        return f" that do not come in by {' or '.join(self.not_by)}" if self.not_by else ""


def redirected(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """A note for each way past the sockets of a port."""
    ways: dict[Way, list[Redirection]] = {}
    for redirection in scene.redirected.get((endpoint.protocol, endpoint.port), ()):
        place = _place(redirection, endpoint, scene)
        if place:
            way = Way(redirection.by, redirection.origin, place, redirection.only_by, redirection.not_by)
            ways.setdefault(way, []).append(redirection)
    for way, redirections in _joined(ways).items():
        yield Note("redirected", _told(way, redirections, endpoint))
    if scene.socket_lookups:
        names = " and ".join(scene.socket_lookups)
        yield Note(
            "socket-lookup",
            f"a BPF program (sk_lookup: {names}) chooses which socket gets a connection, whatever is bound: clients may"
            " not reach a server that listens here",
        )


def _joined(ways: dict[Way, list[Redirection]]) -> dict[Way, list[Redirection]]:
    """Clients from outside and from here that are sent to the same place are all clients."""
    joined = dict(ways)
    for way, redirections in ways.items():
        other = way._replace(origin="here")
        if way.origin == "outside" and other in joined and _ends(redirections) == _ends(joined[other]):
            del joined[other]
            joined = {each._replace(origin="") if each == way else each: ends for each, ends in joined.items()}
    return joined


def _ends(redirections: Iterable[Redirection]) -> tuple[set[tuple[str | None, str | None]], bool]:
    return {(each.address, each.port) for each in redirections}, any(each.sure for each in redirections)


def _place(redirection: Redirection, endpoint: Endpoint, scene: Scene) -> str:
    """Which addresses of the port it is about; "" where nobody has asked for any of these."""
    asked = _asked(endpoint, scene, redirection.origin)
    taken = [address for address in redirection.destinations if address in asked]
    port = f"port {endpoint.port}"
    if not taken:
        return ""
    if len(taken) == len(asked):
        return port
    for family, is_of in (("IPv4", _is_ipv4), ("IPv6", _is_ipv6)):
        if taken == sorted(filter(is_of, asked)):
            return f"{port} over {family}"
    more = f" and {len(taken) - 1} more addresses" if len(taken) > 1 else ""
    return f"{port} of {taken[0]}{more}"


def _is_ipv4(address: str) -> bool:
    return ":" not in address


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _asked(endpoint: Endpoint, scene: Scene, origin: Origin) -> set[str]:
    """Those of this host's addresses that the question is about, and that such a client could use."""
    here = {
        local.address
        for local in scene.addresses
        if origin == "here" or not (local.address.startswith("127.") or local.address == "::1")
    }
    named = {address.text for host in endpoint.hosts for address in host.addresses}
    interfaces = {host.text for host in endpoint.hosts if host.kind == "interface"}
    if any(host.kind in ("every", "wildcard") for host in endpoint.hosts):
        return here
    of_interfaces = {local.address for local in scene.addresses if local.interface in interfaces}
    return here & (named | of_interfaces)


def _told(way: Way, redirections: list[Redirection], endpoint: Endpoint) -> str:
    is_sure = any(each.sure and not _may_come_back(each, endpoint) for each in redirections)
    ends = list(dict.fromkeys(_end(each, endpoint) for each in redirections))
    more = [f"{len(ends) - MOST_TARGETS} more places"] if len(ends) > MOST_TARGETS else []
    comment = next((each.comment for each in redirections if each.comment), None)
    what = "TCP connections" if endpoint.protocol == "tcp" else "UDP packets"
    return (
        f"{way.by} {'sends' if is_sure else 'may send'} {what}{FROM[way.origin]}{way.interfaces} for {way.place}"
        f" to {' or '.join([*ends[:MOST_TARGETS], *more])}{f' ({comment[:LONGEST_COMMENT]})' if comment else ''}:"
        f" {_consequence(way, endpoint, is_sure=is_sure)}"
    )


def _consequence(way: Way, endpoint: Endpoint, *, is_sure: bool) -> str:
    everywhere = way.place == f"port {endpoint.port}" and not way.interfaces
    if is_sure and everywhere:
        return UNREACHED[way.origin]
    return (
        f"{'those' if is_sure else 'these'} clients {'do' if is_sure else 'may'} not reach a server that listens here"
    )


def _may_come_back(redirection: Redirection, endpoint: Endpoint) -> bool:
    """`redirect` without a port: to whichever address of this host, where the server may listen too."""
    return redirection.address in (None, "") and redirection.port in (None, str(endpoint.port))


def _end(redirection: Redirection, endpoint: Endpoint) -> str:
    port = redirection.port or str(endpoint.port)
    if redirection.address is None:
        return f"port {port} of this host"
    if "?" in redirection.address or "?" in port:
        return "where the rule chooses"
    if not redirection.address:
        return f"port {port}"
    return f"[{redirection.address}]:{port}" if ":" in redirection.address else f"{redirection.address}:{port}"
