"""Compose files → services: the parts of files that make up each, with local `include` and `extends`."""

from __future__ import annotations

import re
from os.path import abspath, basename
from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import LeftUnreadError, PreflightError, Unresolved, shown
from portcheck.preflight.dotenv import with_file
from portcheck.preflight.files import ALLOW, MAX_BYTES, Grounds, joined
from portcheck.preflight.interpolate import BadTemplateError, Filled, TooLongError, interpolate
from portcheck.preflight.yaml_nodes import Field, fields, is_null, items, line_of, parsed, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from yaml import Node

    from portcheck.preflight.declarations import Code


MAX_FILES = 200  # also of projects: includes of the same two files could double at every step
MAX_EXTENDS = 32
MAX_CHARACTERS = 4 * MAX_BYTES  # of all files of a project
TOP_LEVEL = {"version", "name", "services", "include", "networks", "volumes", "configs", "secrets", "models"}
ENV_FILES = ("env_file", "label_file")  # of a service
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
        """A scalar with its variables.  Raises PreflightError, LeftUnreadError."""
        try:
            return interpolate(self.written(node), self.place.environment)
        except TooLongError as error:
            raise LeftUnreadError("limit", self.file, line_of(node), str(error)) from None
        except BadTemplateError as error:
            raise PreflightError(self.file, line_of(node), str(error)) from None

    def written(self, node: Node) -> str:
        """A scalar as it is written, which is all of it that a message may hold.  Raises PreflightError."""
        return scalar(self.file, node)


Services = dict[str, tuple[Part, ...]]  # later parts are merged over earlier ones


class Scope(NamedTuple):
    """The services of one file, among which `extends` looks; `built` are those put together already."""

    place: Place
    found: Mapping[str, Field]
    built: Services


class Model:
    """The services of one project; `unresolved` collects what it cannot follow, `files` what it reads."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.unresolved: list[Unresolved] = []
        self.files: list[str] = []
        self._documents: dict[Path, list[Node]] = {}
        self._scopes: dict[tuple[Path, int], Scope] = {}
        self._projects = self._characters = 0

    def project(self, files: tuple[Path, ...], directory: Path, environment: Mapping[str, str]) -> Services:
        """Merges `files` in order (a base and its overrides), then adds what they include.

        Raises PreflightError: a file that is no Compose file, cycles.  Raises LeftUnreadError: limits.
        """
        self._projects += 1
        if self._projects > MAX_FILES:
            cause = f"more than {MAX_FILES} includes; do they include each other?"
            raise LeftUnreadError("limit", str(files[0]), None, cause)
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
        """The file's documents, within all limits.  Raises PreflightError, LeftUnreadError."""
        if file not in self._documents:
            if len(self._documents) >= MAX_FILES:
                cause = f"one of more than {MAX_FILES} files that include each other"
                raise LeftUnreadError("limit", str(file), None, cause)
            text = self.grounds.text(file)
            self._characters += len(text)
            if self._characters > MAX_CHARACTERS:
                cause = f"with the files before it more than {MAX_CHARACTERS:,} characters"
                raise LeftUnreadError("limit", str(file), None, cause)
            self._documents[file] = parsed(str(file), text)
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
                if (place.file, name) in chain:
                    raise PreflightError(part.file, field.line, f"{shown(name)} extends itself")
                if len(chain) > MAX_EXTENDS:
                    cause = f"{shown(name)} extends more than {MAX_EXTENDS} others in a chain"
                    raise LeftUnreadError("limit", part.file, field.line, cause)
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
            file = self._local(part, wanted["file"].node, "extends")
            if not file:
                return ()
            scope = self._scope_of(Place(file, file.parent, part.place.environment))
        if name not in scope.found:
            written = part.written(wanted["service"].node)
            cause = f"extends the service {shown(written)}, which {scope.place.file} does not have"
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
        paths = [self._local(part, text, "include") for text in _texts(part, entry["path"].node)]
        files = tuple(path for path in paths if path)
        if not files or len(files) < len(paths):
            return {}
        directory = files[0].parent
        if "project_directory" in entry:
            directory = joined(place.directory, part.filled(entry["project_directory"].node).text)
        named = _texts(part, entry["env_file"].node) if "env_file" in entry else []
        environment: Mapping[str, str] = place.environment
        env_files = [joined(place.directory, part.filled(each).text) for each in named] or [directory / ".env"]
        for env_file in reversed(env_files):
            environment = self._with_file(part, env_file, environment)
        return self.project(files, directory, environment)

    def _with_file(self, part: Part, path: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
        if self.grounds.leave(path):
            self._leads_outside(part, "an env_file or .env of this include", part.line)
            return environment
        try:
            return with_file(path, environment, self.grounds)
        except LeftUnreadError as left:
            self.unresolved.append(left.remark)
            return environment

    def _local(self, part: Part, node: Node, code: Code) -> Path | None:
        """The file that a path names; None, and a remark, where it is not to be read."""
        text, written, line = part.filled(node).text, part.written(node), line_of(node)
        path = joined(part.place.directory, text)
        remote = _REMOTE.search(text)
        if not remote and self.grounds.leave(path):
            self._leads_outside(part, f"{code} {shown(written)}", line)
            return None
        if not remote and self.grounds.has(path):
            return path
        why = "is not a local file, and preflight fetches nothing" if remote else "does not exist"
        message = f"{code} {shown(written)} {why}: the ports of its services are not known"
        self.unresolved.append(Unresolved(code, message, part.file, line))
        return None

    def check_env_files(self, parts: Iterable[Part]) -> None:
        """Remarks where Compose would read the environment of a service from outside; ports do not depend on it."""
        for part in parts:
            for name in ENV_FILES:
                if name in part.fields:
                    for node in _paths(part, part.fields[name].node):
                        if self.grounds.leave(joined(part.place.directory, part.filled(node).text)):
                            self._leads_outside(part, f"{name} {shown(part.written(node))}", line_of(node))

    def _leads_outside(self, part: Part, what: str, line: int) -> None:
        message = f"{what} leads outside of the project: not read without {ALLOW}"
        self.unresolved.append(Unresolved("outside", message, part.file, line))


def _texts(part: Part, node: Node) -> list[Node]:
    """One text or a list of them."""
    from yaml import ScalarNode

    return [node] if isinstance(node, ScalarNode) and not is_null(node) else items(part.file, node)


def _paths(part: Part, node: Node) -> list[Node]:
    """As `_texts`, where an entry may also be a mapping with a path."""
    from yaml import MappingNode

    entries = [fields(part.file, each) if isinstance(each, MappingNode) else each for each in _texts(part, node)]
    found = [each.get("path") if isinstance(each, dict) else Field(0, each) for each in entries]
    return [field.node for field in found if field]


def _top_level(file: str, document: Node) -> dict[str, Field]:
    """The sections of a Compose file; Compose too refuses a file with any other."""
    top = fields(file, document)
    for key, field in top.items():
        if key not in TOP_LEVEL and not key.startswith("x-"):
            raise PreflightError(file, field.line, f"not a Compose file: it has no section {shown(key)}")
    return top


def _named(file: str, top: Mapping[str, Field]) -> dict[str, Field]:
    return fields(file, top["services"].node) if "services" in top else {}


class ProjectName(NamedTuple):
    """What Compose calls a project; `private` where that is the value of a variable."""

    text: str | None
    private: bool


def project_name(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> ProjectName:
    """COMPOSE_PROJECT_NAME, else the last `name:` of the files, else the directory's; None where nothing is left of it.

    As compose-go does it (`projectName` and `NormalizeProjectName`); a test compares it with the real binary.
    """
    candidates = (
        Filled(variables.get("COMPOSE_PROJECT_NAME", ""), (), ("COMPOSE_PROJECT_NAME",)),
        _name_of(files, model, variables),
        Filled(basename(abspath(files[0].parent))),
    )
    names = (ProjectName(_normal(each.text), bool(each.names)) for each in candidates)
    return next((name for name in names if name.text), ProjectName(None, private=False))


def _name_of(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> Filled:
    from yaml import ScalarNode

    written = ""
    try:
        for file in files:
            for document in model.load(file):
                top = fields(str(file), document)
                if "name" in top and isinstance(top["name"].node, ScalarNode):
                    written = top["name"].node.value or written
        return interpolate(written, variables)
    except (BadTemplateError, PreflightError):
        return Filled("")  # what is wrong with the file has been said by whoever reads its services


def _normal(name: str) -> str:
    """Only lower-case letters, digits, dashes and underscores, none of the last two at the start."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
