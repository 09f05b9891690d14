"""Checks what files declare: each port is asked about with its address, its protocol and its kind of server."""

from __future__ import annotations

from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.ourselves import called
from portcheck.preflight.declarations import PreflightError, left_open
from portcheck.preflight.hosts import Hosts
from portcheck.preflight.judge import PreflightReport, asked, judge
from portcheck.preflight.unasked import on_an_empty_machine, unasked
from portcheck.profiles import PROFILES, Question, server_for
from portcheck.target import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from portcheck.model import Diagnosis
    from portcheck.preflight.declarations import Declaration, Reading
    from portcheck.preflight.judge import Project
    from portcheck.profiles import Server

# The engine binds what it publishes, whatever the server in the container does.
PUBLISHER = PROFILES["docker"]._replace(call=None)


SEARCHED = (
    "what is read: compose.yaml, .env, Procfile, package.json, devcontainer.json, portcheck.toml, [tool.portcheck] in "
    "pyproject.toml"
)


def check(reading: Reading, project: Project, directory: Path, *, probe: bool, static: bool = False) -> PreflightReport:
    """Which of the declared servers could be started now; `static`: as far as the files alone can tell.

    Raises UsageError where there is nothing to check, PreflightError for a profile that does not exist.
    """
    declarations = asked(reading.declarations)
    if not declarations and not left_open(reading.unresolved):
        raise nothing(reading, directory)
    if static:
        findings = judge(declarations, lambda each: on_an_empty_machine(each, _server(each)), project)
        findings = tuple(map(unasked, findings))
    else:
        findings = judge(declarations, Looker(declarations, probe=probe), project)
    disabled = tuple(each for each in reading.declarations if not each.enabled)
    return PreflightReport(reading.files, findings, disabled, reading.unresolved)


def nothing(reading: Reading, directory: Path, command: str = "preflight") -> UsageError:
    """What to say where no port is declared."""
    if reading.declarations and not any(each.compose_profiles for each in reading.declarations):
        return UsageError("nothing to check: only services whose scale is 0 declare ports")
    if reading.declarations:
        from shlex import quote  # a file's words: to be pasted, and nothing but words

        profiles = ",".join(dict.fromkeys(name for each in reading.declarations for name in each.compose_profiles))
        return UsageError(
            "nothing to check: only services of Compose profiles that are off declare ports",
            f"switch them on: COMPOSE_PROFILES={quote(profiles)} {' '.join(called())} {command}",
        )
    if reading.unresolved:
        first = reading.unresolved[0]
        return UsageError(f"nothing to check: {first.file}:{first.line}: {first.message}", SEARCHED)
    if reading.files:
        return UsageError(f"nothing to check: no port is declared in {', '.join(reading.files)}", SEARCHED)
    return UsageError(f"nothing to check: no file in {directory.absolute()} declares ports", SEARCHED)


class Looker:
    """Looks at the host once for all declared ports of a kind of server, and at fallbacks when they are wanted."""

    def __init__(self, declarations: Sequence[Declaration], *, probe: bool) -> None:
        """Raises PreflightError for a profile that does not exist."""
        self._probe = probe
        self._hosts = Hosts()
        groups: dict[Server, list[Declaration]] = {}
        for each in declarations:
            groups.setdefault(_server(each), []).append(each)
        self._firsts: dict[Declaration, Diagnosis] = {}
        for server, members in groups.items():
            self._firsts.update(zip(members, self._look([(each, each.port) for each in members], server)))

    def __call__(self, declaration: Declaration) -> Iterator[Diagnosis]:
        """The diagnosis of the declared port, then of its fallbacks, in order."""
        yield self._firsts[declaration]
        if declaration.fallback:
            yield from self._look([(declaration, port) for port in declaration.fallback], _server(declaration))

    def _look(self, wanted: Sequence[tuple[Declaration, int]], server: Server) -> Iterator[Diagnosis]:
        endpoints = [self._hosts.endpoint(declaration, port) for declaration, port in wanted]
        resolved = [endpoint for endpoint in endpoints if isinstance(endpoint, Endpoint)]
        answers = checks(resolved, Question(server, self._probe))
        for endpoint in endpoints:
            yield next(answers) if isinstance(endpoint, Endpoint) else endpoint


def _server(declaration: Declaration) -> Server:
    if declaration.profile is None and declaration.kind == "compose":
        return PUBLISHER
    try:
        return server_for(declaration.profile)
    except UsageError as error:
        cause = error.cause.replace("for --as", "as profile")
        raise PreflightError(declaration.file, declaration.line, cause) from None
