"""Listeners in other network namespaces: no conflict here, but often what somebody is looking for.

/proc/PID/net shows the tables of the namespace that a process is in, to whoever may read it (proc_pid_net(5)).
"""

from __future__ import annotations

import os
import sys

from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop
from portcheck.model import ForeignListener
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import descriptors, procfs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from portcheck.model import PortRange, Protocol

LISTEN = "0A"
UDP_UNCONNECTED = "07"
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


def _table(pid: int, protocol: Protocol, ports: Collection[PortRange]) -> Iterator[tuple[str, int, int]]:
    """(address, port, inode) of the listeners in one process's namespace."""
    state = LISTEN if protocol == "tcp" else UDP_UNCONNECTED
    for name in (protocol, f"{protocol}6"):
        # Listeners come first, before any number of connections.
        for address, port, inode in read_table(procfs.read(f"{pid}/net/{name}", MOST_BYTES) or b"", state):
            if any(port in wanted for wanted in ports):
                yield address, port, inode


def read_table(text: bytes, state: str) -> Iterator[tuple[str, int, int]]:
    """(address, port, inode) of the sockets of a table that are in this state."""
    for line in text.decode("ascii", "replace").split("\n")[1:]:
        row = line.split()
        if len(row) > 9 and row[3] == state:
            address, _, port = row[1].partition(":")
            try:
                yield _address(address), int(port, 16), int(row[9])
            except ValueError:  # the last line, where the bound has cut it
                return


def _address(text: str) -> str:
    """The kernel prints each 32-bit word in the machine's byte order."""
    raw = bytes.fromhex(text)
    words = [raw[start : start + 4] for start in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, b"".join(words))
