"""Names of services, interfaces and hosts, from the system's own databases."""

from __future__ import annotations

from portcheck.errors import UnresolvedError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe import databases
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.addresses import Address
    from portcheck.model import Protocol


class SystemNames:
    """The `Names` of target.py, as this host knows them."""

    def service(self, name: str, protocol: Protocol) -> int | None:
        """The port of a service."""
        return databases.service_port(name, protocol)

    def interfaces(self) -> tuple[str, ...]:
        """The names by which people know the interfaces."""
        return BACK_END.interface_names()

    def resolve(self, host: str) -> tuple[Address, ...] | None:
        """The addresses of a host, in the order in which a client tries them.  Raises UnresolvedError."""
        return databases.resolve(host)


class NamesToCome(SystemNames):
    """The same, where a host's name may come later, as that of a container does."""

    def resolve(self, host: str) -> tuple[Address, ...] | None:
        """None where it does not resolve now."""
        try:
            return super().resolve(host) or None
        except UnresolvedError:
            return None
