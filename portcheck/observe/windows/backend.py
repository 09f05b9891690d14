"""Windows: psutil, the service manager and netsh (see `observe.back_end`)."""

from __future__ import annotations

from portcheck.addresses import is_link_local
from portcheck.identify.facts import ENVIRONMENT
from portcheck.model import PortPolicy
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.portable import addresses as portable_addresses
from portcheck.observe.portable import processes
from portcheck.observe.portable import sockets as by_psutil
from portcheck.observe.portable.backend import Portable

if TYPE_CHECKING:
    from portcheck.model import Family, LocalAddress, Protocol, Scene
    from portcheck.target import Endpoint

# Names of variables have no case here, and psutil writes them in capitals.  No terminal can be told, so a variable
# that was inherited from one proves nothing of it.
_DECISIVE = {name.upper(): name for name in ENVIRONMENT if name.startswith("npm_")}


class Windows(Portable):
    """Sees every socket, and no options of any."""

    differences = by_psutil.WINDOWS

    def before_rules(self, scene: Scene) -> Scene:
        """The port ranges that Windows keeps to itself."""
        return self._with_exclusions(scene, tuple(scene.tables)) or scene

    def second_look(self, scene: Scene, endpoint: Endpoint) -> Scene | None:
        """The port ranges that Windows keeps to itself."""
        return self._with_exclusions(scene, (endpoint.protocol,))

    def _with_exclusions(self, scene: Scene, protocols: tuple[Protocol, ...]) -> Scene | None:
        """None where they have been asked for already."""
        if all(protocol in scene.policy.exclusions for protocol in protocols):
            return None
        from portcheck.observe.windows.netsh import with_exclusions

        return scene._replace(policy=with_exclusions(scene.policy, protocols, scene.families))

    def recognised(self, scene: Scene) -> Scene:
        """By the service manager, http.sys and the port proxy."""
        from portcheck.observe.windows import services

        return services.recognised(scene)

    def environment(self, pid: int) -> dict[str, str]:
        """Those variables that decide something here."""
        return processes.environment(pid, _DECISIVE)

    def policy(self) -> PortPolicy:
        """There are no privileged ports."""
        return PortPolicy()

    def addresses(self) -> tuple[LocalAddress, ...]:
        """Without link-local ones: psutil leaves out their scopes, without which they cannot be bound."""
        return tuple(local for local in portable_addresses.addresses() if not is_link_local(local.address))

    def admits(self, family: Family, address: str, zone: str | None) -> bool | None:  # noqa: ARG002
        """Loopback may have more than one address, and the link-local ones are not told."""
        return None if address.startswith("127.") or is_link_local(address) else False

    def interface_names(self) -> tuple[str, ...]:
        """Those that people and the other tables use ("Ethernet"), not if_nameindex(3)'s."""
        import psutil

        return tuple(psutil.net_if_addrs())
