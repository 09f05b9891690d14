"""Compose files → services: the parts of files that make up each, with local `include` and `extends`."""

from __future__ import annotations

import re
from os.path import abspath, basename
from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import PreflightError, Unresolved, shown
from portcheck.preflight.dotenv import with_file
from portcheck.preflight.files import is_file
from portcheck.preflight.interpolate import BadTemplateError, Filled, interpolate
from portcheck.preflight.yaml_nodes import Field, documents, fields, is_null, items, line_of, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from yaml import Node

    from portcheck.preflight.declarations import Code


MAX_FILES = 200  # also of projects: includes of the same two files could double at every step
MAX_EXTENDS = 32
TOP_LEVEL = {"version", "name", "services", "include", "networks", "volumes", "configs", "secrets", "models"}
_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]+:|^git@|\.git(#|$)|^github\.com/", re.IGNORECASE)


class Place(NamedTuple):
    """A Compose file, the directory that its paths start from, and the variables that hold in it."""

    file: Path
    directory: Path
    environment: Mapping[str, str]


class Part(NamedTuple):
    """What one file says of a service."""

    place: Place
    line: int  # of the service's name
    tag: str  # `!reset` and `!override` drop the parts before
    fields: Mapping[str, Field]

    @property
    def file(self) -> str:
        """The file, as it is named to the user."""
        return str(self.place.file)

    def filled(self, node: Node) -> Filled:
        """A scalar with its variables.  Raises PreflightError."""
        try:
            return interpolate(scalar(self.file, node), self.place.environment)
        except BadTemplateError as error:
            raise PreflightError(self.file, line_of(node), str(error)) from None


Services = dict[str, tuple[Part, ...]]  # later parts are merged over earlier ones


class Scope(NamedTuple):
    """The services of one file, among which `extends` looks; `built` are those put together already."""

    place: Place
    found: Mapping[str, Field]
    built: Services


class Model:
    """The services of one project; `unresolved` collects what it cannot follow, `files` what it reads."""

    def __init__(self) -> None:
        self.unresolved: list[Unresolved] = []
        self.files: list[str] = []
        self._documents: dict[Path, list[Node]] = {}
        self._scopes: dict[tuple[Path, int], Scope] = {}
        self._projects = 0

    def project(self, files: tuple[Path, ...], directory: Path, environment: Mapping[str, str]) -> Services:
        """Merges `files` in order (a base and its overrides), then adds what they include.

        Raises PreflightError: a file that is no Compose file, cycles, limits.
        """
        self._projects += 1
        if self._projects > MAX_FILES:
            raise PreflightError(str(files[0]), None, f"more than {MAX_FILES} includes; do they include each other?")
        services: Services = {}
        includes: list[tuple[Place, Node]] = []
        for file in files:
            place = Place(file, directory, environment)
            for document in self.load(file):
                top = _top_level(str(file), document)
                for name, parts in self._services(place, top).items():
                    kept = () if parts[-1].tag in ("!reset", "!override") else services.get(name, ())
                    services[name] = (*kept, *parts)
                if "include" in top:
                    includes += [(place, node) for node in items(str(file), top["include"].node)]
        for place, node in includes:
            for name, parts in self._include(place, node).items():
                services.setdefault(name, parts)
        return services

    def load(self, file: Path) -> list[Node]:
        """The file's documents, within all limits.  Raises PreflightError."""
        if file not in self._documents:
            if len(self._documents) >= MAX_FILES:
                raise PreflightError(str(file), None, f"one of more than {MAX_FILES} files that include each other")
            self._documents[file] = documents(file)
            self.files.append(str(file))
        return self._documents[file]

    def _services(self, place: Place, top: Mapping[str, Field]) -> Services:
        scope = Scope(place, _named(str(place.file), top), {})
        return {name: self._service(scope, name, ()) for name in scope.found}

    def _service(self, scope: Scope, name: str, chain: tuple[tuple[Path, str], ...]) -> tuple[Part, ...]:
        """The parts of a service: those of what it extends, then what it says itself."""
        if name not in scope.built:
            field, place = scope.found[name], scope.place
            part = Part(place, field.line, field.node.tag, fields(str(place.file), field.node))
            base: tuple[Part, ...] = ()
            if "extends" in part.fields:
                if (place.file, name) in chain or len(chain) > MAX_EXTENDS:
                    cause = f"{shown(name)} extends itself, or more than {MAX_EXTENDS} others in a chain"
                    raise PreflightError(part.file, field.line, cause)
                base = self._base(scope, part, (*chain, (place.file, name)))
            scope.built[name] = (*base, part)
        return scope.built[name]

    def _base(self, scope: Scope, part: Part, chain: tuple[tuple[Path, str], ...]) -> tuple[Part, ...]:
        """What `extends` names, of this file or of another one on this disk."""
        from yaml import MappingNode

        node = part.fields["extends"].node
        wanted = fields(part.file, node) if isinstance(node, MappingNode) else {"service": Field(line_of(node), node)}
        if "service" not in wanted:
            raise PreflightError(part.file, line_of(node), "extends needs a service")
        name = part.filled(wanted["service"].node).text
        if "file" in wanted:
            file = self._local(part.place, part.filled(wanted["file"].node).text, "extends", line_of(node))
            if not file:
                return ()
            scope = self._scope_of(Place(file, file.parent, part.place.environment))
        if name not in scope.found:
            cause = f"extends the service {shown(name)}, which {scope.place.file} does not have"
            raise PreflightError(part.file, line_of(node), cause)
        return self._service(scope, name, chain)

    def _scope_of(self, place: Place) -> Scope:
        """The services of a file that others extend, read once."""
        key = (place.file, id(place.environment))
        if key not in self._scopes:
            fields: dict[str, Field] = {}
            for document in self.load(place.file):
                fields.update(_named(str(place.file), _top_level(str(place.file), document)))
            self._scopes[key] = Scope(place, fields, {})
        return self._scopes[key]

    def _include(self, place: Place, node: Node) -> Services:
        """One entry of `include`: a project of its own, whose `.env` this project's variables override."""
        from yaml import MappingNode

        part = Part(place, line_of(node), node.tag, {})
        entry = fields(part.file, node) if isinstance(node, MappingNode) else {"path": Field(part.line, node)}
        if "path" not in entry:
            raise PreflightError(part.file, part.line, "include needs a path")
        paths = [self._local(place, text, "include", part.line) for text in _texts(part, entry["path"].node)]
        files = tuple(path for path in paths if path)
        if not files or len(files) < len(paths):
            return {}
        directory = files[0].parent
        if "project_directory" in entry:
            directory = place.directory / part.filled(entry["project_directory"].node).text
        named = _texts(part, entry["env_file"].node) if "env_file" in entry else []
        environment = dict(place.environment)
        for env_file in reversed([place.directory / text for text in named] or [directory / ".env"]):
            environment = with_file(env_file, environment)
        return self.project(files, directory, environment)

    def _local(self, place: Place, text: str, code: Code, line: int) -> Path | None:
        """The file that a path names; None, and a remark, where it is not on this disk."""
        path = place.directory / text
        if not _REMOTE.search(text) and is_file(path):
            return path
        why = "is not a local file, and preflight fetches nothing" if _REMOTE.search(text) else "does not exist"
        message = f"{code} {shown(text)} {why}: the ports of its services are not known"
        self.unresolved.append(Unresolved(code, message, str(place.file), line))
        return None


def _texts(part: Part, node: Node) -> list[str]:
    """One text or a list of them."""
    from yaml import ScalarNode

    nodes = [node] if isinstance(node, ScalarNode) and not is_null(node) else items(part.file, node)
    return [part.filled(each).text for each in nodes]


def _top_level(file: str, document: Node) -> dict[str, Field]:
    """The sections of a Compose file; Compose too refuses a file with any other."""
    top = fields(file, document)
    for key, field in top.items():
        if key not in TOP_LEVEL and not key.startswith("x-"):
            raise PreflightError(file, field.line, f"not a Compose file: it has no section {shown(key)}")
    return top


def _named(file: str, top: Mapping[str, Field]) -> dict[str, Field]:
    return fields(file, top["services"].node) if "services" in top else {}


def project_name(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> str | None:
    """COMPOSE_PROJECT_NAME, else the last `name:` of the files, else the directory's; None where nothing is left of it.

    As compose-go does it (`projectName` and `NormalizeProjectName`); a test compares it with the real binary.
    """
    candidates = (
        variables.get("COMPOSE_PROJECT_NAME", ""),
        _name_of(files, model, variables),
        basename(abspath(files[0].parent)),
    )
    return next(filter(None, map(_normal, candidates)), None)


def _name_of(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> str:
    from yaml import ScalarNode

    written = ""
    try:
        for file in files:
            for document in model.load(file):
                top = fields(str(file), document)
                if "name" in top and isinstance(top["name"].node, ScalarNode):
                    written = top["name"].node.value or written
        return interpolate(written, variables).text
    except (BadTemplateError, PreflightError):
        return ""  # what is wrong with the file has been said by whoever reads its services


def _normal(name: str) -> str:
    """Only lower-case letters, digits, dashes and underscores, none of the last two at the start."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
