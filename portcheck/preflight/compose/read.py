"""Compose files → declarations: resolved by Compose where it is there, else by us; lines from the YAML."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.compose.docker_cli import ComposeFailedError, resolved
from portcheck.preflight.compose.model import Model, project_name
from portcheck.preflight.compose.ports import declared
from portcheck.preflight.compose.services import Service, from_compose, from_parts
from portcheck.preflight.declarations import Declaration, PreflightError, Reading, Unresolved, together
from portcheck.preflight.dotenv import with_file
from portcheck.preflight.files import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from portcheck.preflight.declarations import Code

SETTLED_BY_COMPOSE: tuple[Code, ...] = ("include", "extends")


def read_compose(files: tuple[Path, ...], environment: Mapping[str, str], *, docker: bool = True) -> Reading:
    """The ports that one Compose project publishes on this host: a base file and its overrides, in order.

    `docker`: ask `docker compose config`, where it is there.  Raises PreflightError.
    """
    variables = _variables(files[0].parent, environment)
    model = Model()
    for file in files:  # nothing that is broken or grows out of bounds is handed on to Compose
        model.load(file)
    remarks: list[Unresolved] = []
    answer = None
    if docker:
        try:
            answer = resolved(files, environment)
        except ComposeFailedError as failure:
            message = f"docker compose config failed, read without it: {failure}"
            remarks.append(Unresolved("compose", message, str(files[0]), 1))
    services = list(_ours(model, files, variables, only_lines=answer is not None))
    remarks += [each for each in model.unresolved if answer is None or each.code not in SETTLED_BY_COMPOSE]
    if answer is not None:
        services = _as_resolved(answer, services, str(files[0]))
    wanted = {each.strip() for each in variables.get("COMPOSE_PROFILES", "").split(",")}
    readings = [_declared(service, wanted) for service in services]
    reading = together([Reading(tuple(model.files), (), tuple(remarks)), *readings])
    project = project_name(files, model, variables)
    return reading._replace(declarations=tuple(each._replace(compose_project=project) for each in reading.declarations))


def _variables(directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The process environment over the project's `.env` (or the files that COMPOSE_ENV_FILES names)."""
    variables = dict(environment)
    for name in reversed(environment.get("COMPOSE_ENV_FILES", "").split(",")):
        variables = with_file(directory / (name or ".env"), variables)
    return variables


def _ours(
    model: Model, files: tuple[Path, ...], variables: Mapping[str, str], *, only_lines: bool
) -> Iterator[Service]:
    """Our own reading.  Where Compose has answered it only gives lines, and may fail."""
    allowance = Allowance()
    try:
        project = model.project(files, files[0].parent, variables)
    except PreflightError:
        if not only_lines:
            raise
        return
    for name, parts in project.items():
        try:
            yield from_parts(name, parts, allowance)
        except PreflightError:
            if not only_lines:
                raise
            yield Service(name, parts[-1].file, parts[-1].line, (), host_network=False, entries=())


def _as_resolved(answer: Mapping[str, object], ours: list[Service], file: str) -> list[Service]:
    """Compose's services, with our lines; ours for those of a profile that an older Compose left out."""
    by_name = {service.name: service for service in ours}
    allowance = Allowance()
    nowhere = Service("", file, 1, (), host_network=False, entries=())
    theirs = [from_compose(name, resolved, by_name.get(name, nowhere), allowance) for name, resolved in answer.items()]
    return theirs + [service for service in ours if service.profiles and service.name not in answer]


def _declared(service: Service, wanted: set[str]) -> Reading:
    """A service's declarations; a service that is switched off leaves nothing open."""
    enabled = not service.profiles or bool(wanted & {"*", *service.profiles})
    remarks = list(service.remarks)
    if service.host_network:
        message = "network_mode: host, so it listens on this host's ports directly, and no file says on which"
        remarks.append(Unresolved("host-network", message, service.file, service.line, service.name))
        return Reading((), (), tuple(remarks) if enabled else ())
    declarations: list[Declaration] = []
    for entry in service.entries:
        port = declared(entry.published, "compose", entry.file, entry.line, service.name)
        if isinstance(port, Declaration):
            declarations.append(port._replace(compose_profiles=service.profiles, enabled=enabled))
        else:
            remarks.append(port)
    return Reading((), tuple(declarations), tuple(remarks) if enabled else ())
