"""Diagnosis → advice: what to do now, from the records of kinds.py and catalogue.py.  Pure."""

from __future__ import annotations

from portcheck.identify.holders import groups
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.remedies.catalogue import BY_CAUSE, BY_CAUSE_WHILE_FREE, ONE_OF_SEVERAL, STOP
from portcheck.remedies.fill import fill, fill_all, port_fields
from portcheck.remedies.kinds import kind_of
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portcheck.model import Advice, Diagnosis, PortRange, Scene
    from portcheck.remedies.catalogue import Remedy

HELD = ("listener", "bound", "udp-socket")  # causes for which the remedy depends on the holder
NAMED_AT_MOST = 6


def advise(finding: Diagnosis, scene: Scene) -> Diagnosis:
    """The finding with its remedies, the best first."""
    return finding._replace(advice=tuple(dict.fromkeys(_advice(finding, scene))))


def _advice(finding: Diagnosis, scene: Scene) -> Iterator[Advice]:
    if finding.cause in HELD and finding.verdict == "in-use":
        holding = groups(finding)
        for owner in (owner for group in holding for owner in group.roots()):
            remedies = kind_of(owner, scene.uid).remedies
            if len(holding) > 1 and owner.pid:
                remedies = tuple(map(_for_one, remedies))
            yield from fill_all(remedies, owner, finding, scene.uid)
    elif finding.cause is not None:
        yield from _about_cause(finding, scene)


def _for_one(remedy: Remedy) -> Remedy:
    """With several unrelated holders, `stop` wants one of them to be named."""
    return remedy._replace(command=ONE_OF_SEVERAL.command) if remedy.command == STOP else remedy


def _about_cause(finding: Diagnosis, scene: Scene) -> Iterator[Advice]:
    remedies = (BY_CAUSE_WHILE_FREE if finding.verdict == "free" else BY_CAUSE).get(finding.cause or "address", ())
    fields, true = _cause_fields(finding, scene), _what_is_so(finding, scene)
    for remedy in remedies:
        advice = fill(remedy, fields, None, scene.uid) if remedy.when is None or true[remedy.when] else None
        if advice:
            yield advice


def _what_is_so(finding: Diagnosis, scene: Scene) -> Mapping[str, bool]:
    helps = any(row.outcome == "in-use" and row.with_reuseaddr == "free" for row in finding.binds)
    return {
        **{platform: platform == scene.platform for platform in TRAITS},
        "ephemeral": scene.policy.ephemeral is not None and finding.port in scene.policy.ephemeral,
        "reuseaddr-helps": helps,
        "reuseaddr-does-not-help": not helps,
    }


def _cause_fields(finding: Diagnosis, scene: Scene) -> Mapping[str, object]:
    waits = [socket.expires_in for socket in finding.sockets if socket.expires_in]
    fields = {
        "unprivileged_from": scene.policy.unprivileged_from,
        "ephemeral_first": scene.policy.ephemeral and scene.policy.ephemeral.first,
        "reserved_ports": ",".join([*map(_range, scene.policy.reserved), str(finding.port)]),
        "seconds": max(1, round(max(waits))) if waits else None,
        "addresses": ", ".join(_addresses(scene)[:NAMED_AT_MOST]) or None,
        "vrf": next(filter(None, (scene.network.vrf(row.bind.interface) for row in finding.binds)), None),
        "kernel": scene.kernel_owned.get((finding.protocol, finding.port)),
    }
    return port_fields(finding) | {name: value for name, value in fields.items() if value is not None}


def _addresses(scene: Scene) -> list[str]:
    """Those that a server started here could be given."""
    network = scene.network
    own = network.vrf(network.device)
    return [str(local) for local in scene.addresses if not local.tentative and network.vrf(local.interface) == own]


def _range(ports: PortRange) -> str:
    return str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"
