"""Works out what a process really is."""

from __future__ import annotations

from portcheck.identify.cgroup import places
from portcheck.identify.containers import proxy
from portcheck.identify.describe import container as called_container
from portcheck.identify.interpreters import script
from portcheck.identify.project import project
from portcheck.identify.roles import condition, role
from portcheck.identify.sessions import session
from portcheck.identify.shims import shim_among
from portcheck.identify.supervisors import supervision, supervisor
from portcheck.identify.systemd import is_host, is_manager, own_service
from portcheck.identify.tunnels import forward
from portcheck.model import Container, Process
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.identify.cgroup import Authorship, Placement
    from portcheck.identify.containers import Proxy
    from portcheck.identify.facts import Facts
    from portcheck.model import Engine, Socket

ENGINE_UNITS: Mapping[str, Engine] = {"docker.service": "docker", "snap.docker.dockerd.service": "docker"}
DOCKER_PORTS = frozenset((2375, 2376, 2377, 4789, 7946, 9323))  # API, swarm, metrics


def who_is(facts: Facts) -> Process:
    """The process, completed with everything that follows from the facts alone; managers have not confirmed it yet."""
    process = facts.process
    place, told = places(process.cgroup, facts.authorship, facts.own_container)
    claim = _claim(place, told)
    shim = None if is_named(place.container) else shim_among(facts.ancestors)
    if shim and shim.container != facts.own_container:
        place = place._replace(container=shim.container)
    published_by = proxy(process)
    container = _container(place, published_by)
    published = container != place.container
    service = _service(facts, place, container)
    tunnel = forward(facts)
    kept = supervision(facts)
    started_in = project(facts.project)
    return process._replace(
        role="proxy" if published else tunnel.role if tunnel else role(facts),
        service=service,
        service_manager=place.service_manager if service else None,
        container=container,
        supervisor=kept.supervisor,
        supervisor_pid=kept.supervisor_pid,
        supervised=kept.supervised,
        supervisor_url=kept.supervisor_url,
        started_by=kept.started_by,
        session=None if service or place.container else session(facts),
        terminal=facts.terminal,
        project=started_in.name if started_in and not published else None,
        project_dir=started_in.directory if started_in and not published else None,
        script=script(process),
        task=task(facts.environment),
        forwards=tunnel.target if tunnel else None,
        condition=condition(facts, managed=published or service is not None),
        publisher=published_by.container.engine if published_by else None,
        supervises=supervisor(process),
        ancestors=facts.lineage,
        session_id=facts.session_id,
        confirmed=False if claim else None,
        claim=claim,
        engine_uid=shim.uid if shim else None,
    )


def _claim(place: Placement, told: Placement) -> str | None:
    """What only the names that a stranger has given to cgroups say."""
    if told.container and told.container != place.container:
        return called_container(told.container)
    return told.service if told.service != place.service else None


def who_is_hidden(socket: Socket, own: Container | None = None, authorship: Authorship | None = None) -> Process:
    """The unseen holder of a socket, by the cgroup that the socket was created in; its PID is 0."""
    place, told = places(socket.cgroup, authorship, own)
    claim = _claim(place, told)
    around = place.container
    container = around if is_named(around) else _engine_behind(place, socket) or around
    session_scope = (place.scope or "").removesuffix(".scope").partition("session-")[2]
    manages = (socket.cgroup or "").endswith("/init.scope")
    merely_near = manages or container != around or _merely_hosts(place, socket)
    service = None if merely_near else place.service
    return Process(
        0,
        uid=socket.uid,
        user=socket.user,
        cgroup=socket.cgroup,
        role="service manager" if manages else "proxy" if container != around else None,
        service=service,
        service_manager=place.service_manager if service or place.socket_unit else None,
        activation=place.socket_unit,
        container=container,
        session=f"login session {session_scope}" if session_scope else None,
        confirmed=False if claim else None,
        claim=claim,
    )


def _engine_behind(place: Placement, socket: Socket) -> Container | None:
    """An engine listens in its own unit on behalf of its containers, except on the ports of its own API."""
    engine = ENGINE_UNITS.get(place.service or "")
    return Container(engine) if engine and socket.local_port not in DOCKER_PORTS else None


def _merely_hosts(place: Placement, socket: Socket) -> bool:
    """A user's process in a unit that starts other people's programs (cron, a terminal) is not that unit."""
    return is_host(place.service or "") and socket.uid != 0


def _container(place: Placement, published_by: Proxy | None) -> Container | None:
    """The one that it runs in, if it can be named; else the one that it publishes, if it is an engine's proxy."""
    if is_named(place.container):
        return place.container
    return published_by.container if published_by and published_by.certain else place.container


def is_named(container: Container | None) -> bool:
    """Whether it is known which one it is."""
    return container is not None and bool(container.id or container.name)


def _service(facts: Facts, place: Placement, container: Container | None) -> str | None:
    """None for a manager's own unit, and for an engine's unit where its proxy stands for a container."""
    service = own_service(facts, place)
    if service is None or is_manager(facts.process):
        return None
    return None if is_host(service) and container else service


def task(environment: Mapping[str, str]) -> str | None:
    """`npm run dev`: the package script that started it, as npm, yarn, pnpm and bun tell their children."""
    event = environment.get("npm_lifecycle_event")
    tool = environment.get("npm_config_user_agent", "").partition("/")[0] or "npm"
    return f"{tool} run {event}" if event and event != "npx" else None
