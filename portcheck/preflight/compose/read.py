"""Compose files → declarations: resolved by Compose where it is there, else by us; lines from the YAML."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.compose.docker_cli import ComposeFailedError, resolved
from portcheck.preflight.compose.model import Model, Services, project_name
from portcheck.preflight.compose.ports import declared
from portcheck.preflight.compose.services import Service, from_compose, from_parts
from portcheck.preflight.declarations import (
    Declaration,
    LeftUnreadError,
    PreflightError,
    Reading,
    Unresolved,
    together,
)
from portcheck.preflight.dotenv import assignments, with_file
from portcheck.preflight.files import Allowance, Grounds, around, outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from portcheck.preflight.declarations import Code

SETTLED_BY_COMPOSE: tuple[Code, ...] = ("include", "extends")
# What a `.env` may say to Compose: other variables choose an engine, a configuration, other files.
HARMLESS = {"COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}


def read_compose(
    files: tuple[Path, ...], environment: Mapping[str, str], grounds: Grounds | None = None, *, docker: bool = True
) -> Reading:
    """The ports that one Compose project publishes on this host: a base file and its overrides, in order.

    `docker`: ask `docker compose config`, where it is there.  Raises PreflightError, LeftUnreadError.
    """
    grounds = grounds or around(files[0])
    remarks: list[Unresolved] = []
    files = _inside(files, grounds, remarks)
    variables = _variables(files[0].parent, environment, grounds, remarks)
    model = Model(grounds)
    for file in files:  # nothing that is broken or grows out of bounds is handed on to Compose
        model.load(file)
    failures: list[PreflightError] = []
    project = _project(model, files, variables, failures)
    services = list(_ours(project, model, failures))
    remarks += model.unresolved
    answer = None
    if docker and (grounds.everywhere or all(each.code != "outside" for each in remarks)):
        answer = _asked(files, environment, grounds, remarks)
    if answer is not None:
        remarks = [each for each in remarks if each.code not in SETTLED_BY_COMPOSE]
        services = _as_resolved(answer, services, str(files[0]))
    elif failures:
        raise failures[0]
    wanted = {each.strip() for each in variables.get("COMPOSE_PROFILES", "").split(",")}
    readings = [_declared(service, wanted) for service in services]
    reading = together([Reading(tuple(model.files), (), tuple(remarks)), *readings])
    name, private = project_name(files, model, variables)
    return reading._replace(
        declarations=tuple(each._replace(compose_project=name, private=private) for each in reading.declarations)
    )


def _inside(files: tuple[Path, ...], grounds: Grounds, remarks: list[Unresolved]) -> tuple[Path, ...]:
    """Without the overrides that lead outside; a base that does is for its reader to refuse."""
    kept = [file for file in files if file == files[0] or not grounds.leave(file)]
    remarks += [outside(file).remark for file in files if file not in kept]
    return tuple(kept)


def _asked(
    files: tuple[Path, ...], environment: Mapping[str, str], grounds: Grounds, remarks: list[Unresolved]
) -> Mapping[str, object] | None:
    """What Compose makes of the files; None where there is no Compose, or it failed."""
    if _steers_docker(files[0].parent, environment, grounds):
        return None
    try:
        return resolved(files, environment, grounds)
    except ComposeFailedError as failed:
        message = f"docker compose config failed, read without it: {failed}"
        remarks.append(Unresolved("compose", message, str(files[0]), 1))
        return None


def _steers_docker(directory: Path, environment: Mapping[str, str], grounds: Grounds) -> bool:
    """Whether the `.env`, which Compose reads by itself, sets what Docker or Compose obey."""
    try:
        own = assignments(directory / ".env", {}, grounds)
    except PreflightError:
        return True
    return any(name.startswith(("COMPOSE_", "DOCKER_")) for name in own.keys() - environment.keys() - HARMLESS)


def _variables(
    directory: Path, environment: Mapping[str, str], grounds: Grounds, remarks: list[Unresolved]
) -> dict[str, str]:
    """The process environment over the project's `.env` (or the files that COMPOSE_ENV_FILES names)."""
    variables = dict(environment)
    for name in reversed(environment.get("COMPOSE_ENV_FILES", "").split(",")):
        try:
            variables = with_file(directory / (name or ".env"), variables, grounds)
        except LeftUnreadError as left:
            remarks.append(left.remark)
    return variables


def _project(
    model: Model, files: tuple[Path, ...], variables: Mapping[str, str], failures: list[PreflightError]
) -> Services:
    """The parts of all services.  Where they cannot be told, nor can what Compose would read: it is not asked then."""
    try:
        return model.project(files, files[0].parent, variables)
    except PreflightError as error:
        if isinstance(error, LeftUnreadError) or not model.grounds.everywhere:
            raise
        failures.append(error)
        return {}


def _ours(project: Services, model: Model, failures: list[PreflightError]) -> Iterator[Service]:
    """Our own reading; a service that cannot be read still gives its line, should Compose be able to read it."""
    allowance = Allowance()
    for name, parts in project.items():
        model.check_env_files(parts)
        try:
            yield from_parts(name, parts, allowance)
        except LeftUnreadError:
            raise
        except PreflightError as error:
            failures.append(error)
            yield Service(name, parts[-1].file, parts[-1].line, {}, host_network=False, entries=())


def _as_resolved(answer: Mapping[str, object], ours: list[Service], file: str) -> list[Service]:
    """Compose's services, with our lines; ours for those of a profile that an older Compose left out."""
    by_name = {service.name: service for service in ours}
    allowance = Allowance()
    nowhere = Service("", file, 1, {}, host_network=False, entries=())
    theirs = [from_compose(name, resolved, by_name.get(name, nowhere), allowance) for name, resolved in answer.items()]
    return theirs + [service for service in ours if service.profiles and service.name not in answer]


def _declared(service: Service, wanted: set[str]) -> Reading:
    """A service's declarations; a service that is switched off leaves nothing open."""
    enabled = service.containers > 0 and (not service.profiles or bool(wanted & {"*", *service.profiles}))
    remarks = list(service.remarks)
    if service.host_network:
        message = "network_mode: host, so it listens on this host's ports directly, and no file says on which"
        remarks.append(Unresolved("host-network", message, service.file, service.line, service.name))
        return Reading((), (), tuple(remarks) if enabled else ())
    declarations: list[Declaration] = []
    for entry in service.entries:
        port = declared(entry.published, "compose", entry.file, entry.line, service.name)
        if isinstance(port, Declaration):
            profiles = tuple(service.profiles.values())
            declarations.append(
                port._replace(
                    compose_profiles=profiles,
                    enabled=enabled,
                    variables=entry.variables,
                    containers=service.containers,
                )
            )
        else:
            remarks.append(port)
    return Reading((), tuple(declarations), tuple(remarks) if enabled else ())
