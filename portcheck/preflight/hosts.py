"""Declared hosts → addresses, each looked up once; or what a diagnosis says where a name leads nowhere."""

from __future__ import annotations

from portcheck.diagnosis.sentence import untold
from portcheck.errors import PortcheckError
from portcheck.identify.describe import port_named
from portcheck.model import BlindSpot, Diagnosis
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.target import EVERY, Endpoint, parse_host

if TYPE_CHECKING:
    from portcheck.preflight.declarations import Declaration
    from portcheck.target import Host


class Hosts:
    """The hosts of declarations, as this system knows their names."""

    def __init__(self) -> None:
        self._hosts: dict[str | None, tuple[Host, ...] | PortcheckError] = {None: (EVERY,)}

    def endpoint(self, declaration: Declaration, port: int) -> Endpoint | Diagnosis:
        """What to ask about one of a declaration's ports; or the answer, where the host's name leads nowhere."""
        target = declaration.target(port)
        hosts = self._resolved(declaration.host)
        if isinstance(hosts, PortcheckError):
            return _nowhere(declaration, port, hosts.cause)
        return Endpoint(target, declaration.protocol, port, hosts)

    def _resolved(self, host: str | None) -> tuple[Host, ...] | PortcheckError:
        if host not in self._hosts:
            try:
                self._hosts[host] = (parse_host(host or "*", SystemNames()),)
            except PortcheckError as error:  # no such host, or nobody knows
                self._hosts[host] = error
        return self._hosts[host]


def _nowhere(declaration: Declaration, port: int, why: str) -> Diagnosis:
    """A server could not start there now; whether it can where it will run is not known here."""
    spot = BlindSpot("host-not-resolved", why)
    answer = untold(f"{port_named(declaration.protocol, port)} is free", why)
    return Diagnosis(
        declaration.target(port), declaration.protocol, port, declaration.host, "unknown", None, answer,
        complete=False, blind_spots=(spot,),
    )  # fmt: skip
