"""The rows of the bind table: every way in which a server could be given the port.  Pure."""

from __future__ import annotations

from portcheck.addresses import ANY6, is_link_local, is_mapped
from portcheck.model import Bind, BindRequest
from portcheck.servers import WILDCARDS, wildcard_binds
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcheck.addresses import Address
    from portcheck.model import LocalAddress, Protocol, Scene
    from portcheck.servers import Server
    from portcheck.target import Endpoint, Host


def ways_to_bind(endpoint: Endpoint, scene: Scene, server: Server) -> tuple[Bind, ...]:
    """Every way to bind that the question is about, wildcards first, each once."""
    ways = (way for host in endpoint.hosts for way in _ways(host, scene, server))
    return tuple(dict.fromkeys(ways))


def _ways(host: Host, scene: Scene, server: Server) -> Iterator[Bind]:
    if host.kind == "addresses":
        for address in host.addresses:
            yield from _named(address, scene, server)
        return
    if host.kind != "interface":
        usual = wildcard_binds(server, scene.families)
        yield from usual or WILDCARDS
        if host.kind == "wildcard" or usual:
            return
    for local in scene.addresses:
        if host.kind == "every" or local.interface == host.text:
            yield _concrete(local)


def _concrete(local: LocalAddress) -> Bind:
    # binding a concrete IPv6 address sets IPV6_V6ONLY by itself
    return Bind(str(local), local.family, True if local.family == "ipv6" else None, local.interface)


def _named(address: Address, scene: Scene, server: Server) -> Iterator[Bind]:
    """An address that the user named: `::` both ways, a link-local one on each interface that has it."""
    if address.text == ANY6:
        known = [way for way in server.binds or () if way.address == ANY6]
        yield from known or WILDCARDS[1:]
        return
    here = [local for local in scene.addresses if local.address == address.text]
    if address.zone:
        yield Bind(str(address), address.family, v6only=True, interface=address.zone)
    elif is_link_local(address.text) and here:
        yield from map(_concrete, here)
    else:
        v6only = None if address.family == "ipv4" else not is_mapped(address.text)
        yield Bind(address.text, address.family, v6only, here[0].interface if here else None)


def request(bind: Bind, protocol: Protocol, port: int, uid: int | None, *, reuseaddr: bool) -> BindRequest:
    """What the kernel would get."""
    address, _, zone = bind.address.partition("%")
    return BindRequest(protocol, bind.family, address, port, bind.v6only, zone or None, reuseaddr, uid=uid)
