"""What files alone can tell: which services declare the same port, on whatever machine they will run.  Pure."""

from __future__ import annotations

from portcheck.addresses import ANY6, parse_address
from portcheck.diagnosis.sentence import untold
from portcheck.identify.describe import port_named
from portcheck.model import Bind, BlindSpot, Diagnosis, Row
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.profiles import WILDCARDS, wildcard_binds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.preflight.declarations import Declaration
    from portcheck.preflight.judge import Finding
    from portcheck.profiles import Server
    from portcheck.vocabulary import Family

FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
LOCALHOST = ("127.0.0.1", "::1")  # RFC 6761: whatever a resolver would say
NOT_ASKED = BlindSpot("not-asked", "this machine was not asked (--static)")


def on_an_empty_machine(declaration: Declaration, server: Server) -> Iterator[Diagnosis]:
    """What `judge` would be told of the declared port and of its fallbacks where nobody has any port."""
    binds = _binds(declaration.host, server)
    for port in (declaration.port, *declaration.fallback):
        answer = untold(f"{port_named(declaration.protocol, port)} is free", NOT_ASKED.message)
        yield Diagnosis(
            declaration.target(port), declaration.protocol, port, declaration.host, "free", None, answer,
            complete=False, blind_spots=(NOT_ASKED,), binds=binds,
        )  # fmt: skip


def unasked(finding: Finding) -> Finding:
    """What was judged there, without what only the machine itself can tell."""
    diagnosis = finding.diagnosis._replace(verdict="unknown")
    if finding.status == "declared-twice":
        return finding._replace(diagnosis=diagnosis)
    return finding._replace(status="not-asked", diagnosis=diagnosis, instead=None)


def _binds(host: str | None, server: Server) -> tuple[Row, ...]:
    return tuple(Row(bind, "unknown", "unknown", "unknown") for bind in _ways(host, server))


def _ways(host: str | None, server: Server) -> Sequence[Bind]:
    if host in (None, "", "*"):
        return wildcard_binds(server, FAMILIES, LOCALHOST) or WILDCARDS
    if address := parse_address(str(host).strip("[]")):
        return WILDCARDS[1:] if address.text == ANY6 else (Bind(str(address), address.family),)
    if host == "localhost":
        return tuple(Bind(address, family) for address, family in zip(LOCALHOST, FAMILIES))
    return tuple(Bind(str(host), family) for family in FAMILIES)  # a name: some address, and the same one each time
