"""A Compose service with the ports that it takes on the host: from its YAML parts, or as Compose says."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.compose.ports import PortSyntaxError, Published, mapping, short
from portcheck.preflight.declarations import PreflightError, Unresolved, shown
from portcheck.preflight.files import Allowance
from portcheck.preflight.interpolate import Filled, blamed
from portcheck.preflight.yaml_nodes import fields, is_null, items, line_of
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from yaml import Node

    from portcheck.preflight.compose.model import Part

LONG = ("host_ip", "published", "target", "protocol")  # the keys of the long syntax that name a host's port
UNSAID = "(not repeated)"
_INT = "tag:yaml.org,2002:int"


class Entry(NamedTuple):
    """One published port and where it is written; `variables` are those that it comes from."""

    published: Published
    file: str
    line: int
    variables: tuple[str, ...] = ()


class Service(NamedTuple):
    """`line` is that of the service's name; `remarks` are what its entries leave open.

    `profiles` maps each one to what is said of it: what is written, never the value of a variable.
    """

    name: str
    file: str
    line: int
    profiles: Mapping[str, str]
    host_network: bool
    entries: tuple[Entry, ...]
    remarks: tuple[Unresolved, ...] = ()
    containers: int = 1  # how many there are to be of it


def from_parts(name: str, parts: tuple[Part, ...], allowance: Allowance) -> Service:
    """Puts a service together from what each file says of it.  Raises PreflightError with the line."""
    entries: dict[Published, Entry] = {}
    remarks: list[Unresolved] = []
    for part, node in _ports_nodes(parts):
        line = line_of(node)
        ports, problems, variables = _published(part, node)
        allowance.spend(_weight(ports), part.file, line)
        remarks += [Unresolved("variable", problem, part.file, line, name) for problem in problems]
        for port in ports:
            entries.setdefault(port, Entry(port, part.file, line, variables))
    last = parts[-1]
    profiles = dict(_profiles(parts))
    host_network = _network_mode(parts) == "host"
    containers, doubts = _containers(parts)
    remarks += [Unresolved("variable", doubt, last.file, last.line, name) for doubt in doubts]
    return Service(
        name, last.file, last.line, profiles, host_network, tuple(entries.values()), tuple(remarks), containers
    )


def _weight(ports: list[Published]) -> int:
    return 1 + sum(1 + len(port.fallback) for port in ports)


def _ports_nodes(parts: tuple[Part, ...]) -> list[tuple[Part, Node]]:
    """The `ports` entries of every part in order; `!override` and `!reset` drop those before them."""
    nodes: list[tuple[Part, Node]] = []
    for part in parts:
        if "ports" not in part.fields:
            continue
        node = part.fields["ports"].node
        if node.tag in ("!reset", "!override"):
            nodes.clear()
        if node.tag != "!reset":
            nodes += [(part, each) for each in items(part.file, node)]
    return nodes


def _published(part: Part, node: Node) -> tuple[list[Published], tuple[str, ...], tuple[str, ...]]:
    """What one entry publishes, which variables have no value, and which ones it takes the value of."""
    from yaml import ScalarNode

    # A plain number is a container's port, in any of YAML's spellings; `22:22` is a number to YAML 1.1 only.
    if node.tag == _INT and ":" not in node.value:
        return [], (), ()
    if isinstance(node, ScalarNode):
        words = [part.filled(node)]
    else:
        long = fields(part.file, node)
        words = [part.filled(long[key].node) if key in long else Filled("") for key in LONG]
    problems = tuple(problem for word in words for problem in word.problems)
    names = tuple(dict.fromkeys(name for word in words for name in word.names))
    texts = [word.text for word in words]
    try:
        return short(*texts) if len(texts) == 1 else mapping(*texts), problems, names
    except PortSyntaxError as error:
        if problems:  # an empty variable made it so
            return [], problems, ()
        cause = f"{blamed(names)} no port, range or address that can be published" if names else str(error)
        raise PreflightError(part.file, line_of(node), cause) from None


def _profiles(parts: tuple[Part, ...]) -> Iterator[tuple[str, str]]:
    for part in parts:
        if "profiles" in part.fields:
            for node in items(part.file, part.fields["profiles"].node):
                yield part.filled(node).text, part.written(node)


def _containers(parts: tuple[Part, ...]) -> tuple[int, tuple[str, ...]]:
    """`scale`, or `deploy.replicas`, which Compose takes for the same; and the variables that leave it open."""
    said: Filled | None = None
    for part in parts:
        nodes = [part.fields["scale"].node] if "scale" in part.fields else []
        if "deploy" in part.fields:
            deploy = fields(part.file, part.fields["deploy"].node)
            nodes += [deploy["replicas"].node] if "replicas" in deploy else []
        for node in nodes:
            if not is_null(node):
                said = part.filled(node)
    if said is None:
        return 1, ()
    count = number(said.text)
    return (1 if count is None else count), said.problems


def _network_mode(parts: tuple[Part, ...]) -> str | None:
    nodes = [(part, part.fields["network_mode"].node) for part in parts if "network_mode" in part.fields]
    return nodes[-1][0].filled(nodes[-1][1]).text if nodes else None


def from_compose(name: str, resolved: Any, ours: Service, allowance: Allowance) -> Service:
    """A service as `docker compose config` gives it; the lines are those of the same port in our reading."""
    lines = {entry.published: entry for entry in ours.entries}
    entries: list[Entry] = []
    for port in resolved.get("ports") or ():
        words = (str(port.get(key) or "") for key in LONG)
        try:
            ports = mapping(*words)
        except PortSyntaxError:  # what it says may be the value of a variable
            cause = f"docker compose config publishes what is no port of {shown(name)}"
            raise PreflightError(ours.file, ours.line, cause) from None
        allowance.spend(_weight(ports), ours.file, ours.line)
        entries += [lines.get(each, Entry(each, ours.file, ours.line)) for each in ports]
    profiles = {each: ours.profiles.get(each, UNSAID) for each in resolved.get("profiles") or ()}
    host_network = resolved.get("network_mode") == "host"
    return Service(
        name, ours.file, ours.line, profiles, host_network, tuple(entries), ours.remarks, _resolved_containers(resolved)
    )


def _resolved_containers(resolved: Any) -> int:
    deploy = resolved.get("deploy")
    counts = (deploy.get("replicas") if isinstance(deploy, dict) else None, resolved.get("scale"))
    return next((count for count in counts if isinstance(count, int)), 1)
