"""What docker or podman know of containers, by their command line tools: names, images, published ports."""

from __future__ import annotations

from portcheck.identify.engines import read_inspected
from portcheck.observe.asking import NoAnswerError, ask
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.identify.engines import Inspected
    from portcheck.identify.lookups import Subject
    from portcheck.observe.asking import Patience


def containers(engine: str, subjects: Iterable[Subject], patience: Patience) -> tuple[Inspected, ...]:
    """The containers that these are in, or whose ports they publish.  Raises NoAnswerError."""
    ids: dict[str, None] = {}
    ports: dict[str, None] = {}
    for process, sockets, _ in subjects:
        if process.container and process.container.id:
            ids[process.container.id] = None
        else:
            held = (socket for socket in sockets if socket.remote_port is None)
            ports.update((f"{socket.local_port}/{socket.protocol}", None) for socket in held)
    ids |= dict.fromkeys(_publishing(engine, ports, patience))
    return _inspected(engine, ids, patience) if ids else ()


def _publishing(engine: str, ports: Iterable[str], patience: Patience) -> list[str]:
    """The ids of the running containers that publish any of these ports.

    podman refuses this filter (4.3.1: "publish is an invalid filter") and names every running container.
    """
    filters = [f"--filter=publish={port}" for port in ports]  # several of one kind are alternatives
    if not filters:
        return []
    if engine == "podman":
        filters = []
    found = ask((engine, "ps", "--quiet", "--no-trunc", *filters), patience)
    if not found.ok:
        raise NoAnswerError(_refusal(found.err))
    return found.out.split()


def _inspected(engine: str, ids: Iterable[str], patience: Patience) -> tuple[Inspected, ...]:
    told = ask((engine, "container", "inspect", *ids), patience)
    inspected = read_inspected(engine, told.out)
    # A container that has ended meanwhile is no failure: the others are told all the same.
    if not told.ok and not inspected and "no such" not in told.err.lower():
        raise NoAnswerError(_refusal(told.err))
    return inspected


def _refusal(message: str) -> str:
    """Its own first line of words."""
    line = next(iter(message.strip().splitlines()), "no reason given")
    return f"gave no answer ({line[:160]})"
