"""Listeners in other network namespaces: no conflict here, but often what somebody is looking for.

/proc/PID/net shows the tables of the namespace that a process is in, to whoever may read it (proc_pid_net(5)).
"""

from __future__ import annotations

import os

from portcheck.model import ForeignListener
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import descriptors, procnet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from portcheck.model import PortRange, Protocol

MOST_BYTES = 1 << 22  # of a table, with 150 for each socket


def listeners_elsewhere(wanted: Mapping[Protocol, Collection[PortRange]]) -> tuple[ForeignListener, ...]:
    """The listeners on these ports in every other network namespace that can be seen."""
    listeners = [
        (protocol, *entry, namespace)
        for namespace, pid in _namespaces().items()
        for protocol, ports in wanted.items()
        for entry in _table(pid, protocol, ports)
    ]
    holders = descriptors.holders({inode for *_, inode, _ in listeners}) if listeners else None
    return tuple(
        ForeignListener(protocol, address, port, namespace, holders.pids.get(inode, ()) if holders else ())
        for protocol, address, port, inode, namespace in listeners
    )


def _namespaces() -> dict[str, int]:
    """Each other network namespace with one process in it."""
    try:
        own, names = os.readlink("/proc/self/ns/net"), os.listdir("/proc")
    except OSError:  # there is no /proc: the holders' blind spot says it
        return {}
    namespaces: dict[str, int] = {}
    for name in names:
        if name.isdecimal():
            try:
                namespace = os.readlink(f"/proc/{name}/ns/net")
            except OSError:
                continue
            if namespace != own:
                namespaces.setdefault(namespace, int(name))
    return namespaces


def _table(pid: int, protocol: Protocol, ports: Iterable[PortRange]) -> Iterator[tuple[str, int, int]]:
    """(address, port, inode) of the listeners in one process's namespace."""
    for family, digit in procnet.FAMILIES:
        # Listeners come first, before any number of connections.
        table = procnet.rows(
            f"/proc/{pid}/net/{protocol}{digit}",
            protocol,
            family,
            ports,
            listeners_alone=protocol == "tcp",
            at_most=MOST_BYTES,
        )
        try:
            for socket in table:
                if socket and not socket.remote_port:
                    yield socket.local_address, socket.local_port, socket.inode or 0
        except OSError:  # it has ended, is another user's, or has no IPv6
            continue
