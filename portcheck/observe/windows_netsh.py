"""Asks netsh: for the port ranges that Windows keeps to itself, http.sys' queues, and port proxy rules."""

from __future__ import annotations

import os

from portcheck.model import Exclusion
from portcheck.observe.asking import NoAnswerError, Patience, ask
from portcheck.observe.windows_tables import excluded_ranges, port_proxies, request_queues
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.windows import PortProxy, RequestQueue
    from portcheck.model import Family, PortPolicy, Protocol

PATIENCE = 3.0  # seconds


def with_exclusions(policy: PortPolicy, protocols: Sequence[Protocol], families: Sequence[Family]) -> PortPolicy:
    """The policy with the excluded ranges of these protocols, or that they could not be read."""
    patience = Patience(PATIENCE)
    for protocol in protocols:
        found = [_exclusions(protocol, family, patience) for family in families]
        known = tuple(exclusion for exclusions in found for exclusion in exclusions or ())
        policy = policy._replace(
            excluded=(*policy.excluded, *known),
            exclusions={**policy.exclusions, protocol: None not in found},
        )
    return policy


def _exclusions(protocol: Protocol, family: Family, patience: Patience) -> list[Exclusion] | None:
    told = _netsh(("interface", family, "show", "excludedportrange", f"protocol={protocol}"), patience)
    ranges = None if told is None else excluded_ranges(told)
    return None if ranges is None else [Exclusion(protocol, family, ports) for ports in ranges]


def queues() -> tuple[RequestQueue, ...] | None:
    """http.sys' request queues; None where they cannot be read."""
    told = _netsh(("http", "show", "servicestate", "view=requestq"), Patience(PATIENCE))
    return None if told is None else request_queues(told)


def proxy_rules() -> tuple[PortProxy, ...]:
    """The rules of the port proxy (IP Helper); none where there are none, or they cannot be read."""
    told = _netsh(("interface", "portproxy", "show", "all"), Patience(PATIENCE))
    return port_proxies(told or "")


def _netsh(arguments: Sequence[str], patience: Patience) -> str | None:
    """What it prints; None where it fails.  Always Windows' own, not one that lies in the current directory."""
    program = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "netsh.exe")
    try:
        answer = ask((program, *arguments), patience)
    except NoAnswerError:
        return None
    return answer.out if answer.ok else None
