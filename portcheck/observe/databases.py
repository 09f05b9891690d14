"""Names of services and hosts, as the C library looks them up on every system."""

from __future__ import annotations

import _thread

from portcheck import lean_socket as socket
from portcheck.addresses import Address, parse_address
from portcheck.errors import UnresolvedError
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Protocol

PATIENCE = 6.0  # seconds, for a host's name: the C library gives a name server 5 before it asks the next one
FOR_LOCALHOST = 1.0  # seconds: /etc/hosts has it
REMEDY = "give an address, or see whether the name server answers (/etc/resolv.conf)"
# "No such name", and "a name without an address".
NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def service_port(name: str, protocol: Protocol) -> int | None:
    """/etc/services through getservbyname(3)."""
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        return None


def resolve(host: str, patience: float = PATIENCE) -> tuple[Address, ...]:
    """getaddrinfo(3), in its order (RFC 6724: which of localhost's addresses a client tries first).

    () for a name that is known not to exist.  Raises UnresolvedError where that is not known: a name server that is
    gone lets the C library wait for half a minute, so another thread does.
    """
    lookup = _Lookup(host)
    ended = _thread.allocate_lock()
    ended.acquire()
    try:
        _thread.start_new_thread(lookup.run, (ended,))
    except RuntimeError:  # a limit on processes counts threads too
        lookup.run(ended)
    if not ended.acquire(timeout=patience):
        raise UnresolvedError(f"host '{host}' could not be resolved in {patience:g} s", REMEDY)
    if lookup.refusal:
        raise UnresolvedError(f"host '{host}' could not be resolved: {lookup.refusal}", REMEDY)
    return lookup.addresses


def localhost() -> tuple[str, ...]:
    """The addresses of `localhost`, in the order in which a client tries them; () where nobody tells."""
    try:
        return tuple(str(address) for address in resolve("localhost", FOR_LOCALHOST))
    except UnresolvedError:
        return ()


class _Lookup:
    """What becomes of one question."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.addresses: tuple[Address, ...] = ()
        self.refusal: str | None = None  # why it is not known whether there is such a host

    def run(self, ended: _thread.LockType) -> None:
        """To be run by a thread of its own; lets go of `ended` at its end."""
        try:
            self.addresses = _addresses(self._host)
        except UnicodeError:  # no name at all: too long a label
            self.addresses = ()
        except OSError as refusal:
            no_such_name = isinstance(refusal, socket.gaierror) and refusal.errno in NO_SUCH_NAME
            self.refusal = None if no_such_name else refusal.strerror or str(refusal)
        except MemoryError:
            self.refusal = "there is not enough memory"
        finally:
            ended.release()


def _addresses(host: str) -> tuple[Address, ...]:
    last = host.rstrip(".").rpartition(".")[2]
    if last == "invalid":  # RFC 6761: never a name, and nobody is to be asked
        return ()
    # bytes: text would be encoded by the idna codec, whose import takes as long as a whole look
    name = host.encode("ascii") if host.isascii() else host
    # No host's name ends in a number, but addresses may be written in older ways: 127.1
    flags = socket.AI_NUMERICHOST if last.isdecimal() else 0
    entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=flags)
    addresses = (parse_address(str(sockaddr[0])) for *_, sockaddr in entries)
    return tuple(dict.fromkeys(address for address in addresses if address))


def is_user(name: str) -> bool:
    """Whether the user database knows this name; where there is none, every name may be somebody's."""
    try:
        import pwd
    except ImportError:
        return True
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
