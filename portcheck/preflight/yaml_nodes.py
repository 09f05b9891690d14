"""YAML as a graph of nodes: text with line numbers, nothing constructed from it.

PyYAML's node graph and not ruamel.yaml's objects: a node keeps its line and its text (`22:22` is not yet the
sexagesimal number 1342 of YAML 1.1), anchors stay shared, and no tag can construct anything.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import LeftUnreadError, PreflightError, shown
from portcheck.preflight.files import Grounds, around, needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from yaml import Event, MappingNode, Node

MAX_DEPTH = 64
TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
MAX_EXPANDED = 1 << 20  # characters once every alias stands for what it names: four of the largest files
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


class Field(NamedTuple):
    """A value of a mapping, and the line of its key."""

    line: int
    node: Node


def documents(path: Path, grounds: Grounds | None = None) -> list[Node]:
    """The document nodes of a YAML file.  Raises PreflightError, LeftUnreadError."""
    return parsed(str(path), (grounds or around(path)).text(path))


def parsed(file: str, text: str) -> list[Node]:
    """The document nodes of a text, checked against the limits before they are built.

    Raises PreflightError: broken YAML (with the line), no PyYAML.  Raises LeftUnreadError: nesting or aliases beyond
    the limits.
    """
    with needs("PyYAML", file):
        import yaml
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_bounds(file, yaml.parse(text, loader))
        return [node for node in yaml.compose_all(text, loader) if node]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # the end of the text is placed on the line after its last one
        line = min(mark.line + 1, len(text.splitlines())) if mark else None
        # libyaml 0.2.6 has a bound of its own, 1,000 levels, and can meet it before it has told us of the first one
        if "nesting" in (error.problem or ""):
            raise LeftUnreadError("limit", file, line, TOO_DEEP) from None
        raise PreflightError(file, line, f"broken YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PreflightError(file, line, f"broken YAML: {error.reason}") from None


class _Open:
    """A collection whose end has not been reached yet."""

    def __init__(self, anchor: str | None) -> None:
        self.anchor = anchor
        self.size = 1
        self.depth = 0


def _check_bounds(file: str, events: Iterable[Event]) -> None:
    """Refuses what would grow out of bounds: the size and depth of every node with its aliases expanded.

    One pass, no recursion: an alias weighs what its anchor weighed, so a bomb is seen without being built.
    """
    from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    weights: dict[str, tuple[int, int]] = {}
    stack = [_Open(None)]
    for event in events:
        if isinstance(event, CollectionStartEvent):
            weights.pop(event.anchor or "", None)
            stack.append(_Open(event.anchor))
            _refuse_beyond(file, event, 0, len(stack) - 1)
            continue
        if isinstance(event, CollectionEndEvent):
            done = stack.pop()
            anchor, weight = done.anchor, (done.size, done.depth + 1)
        elif isinstance(event, ScalarEvent):
            anchor, weight = event.anchor, (len(event.value) + 1, 0)
        elif isinstance(event, AliasEvent):
            anchor, weight = None, _weight_of_alias(file, event, weights)
        else:
            continue
        if anchor:
            weights[anchor] = weight
        top = stack[-1]
        top.size += weight[0]
        top.depth = max(top.depth, weight[1])
        _refuse_beyond(file, event, top.size, len(stack) - 1 + top.depth)


def _weight_of_alias(file: str, event: Event, weights: dict[str, tuple[int, int]]) -> tuple[int, int]:
    anchor = getattr(event, "anchor", "")
    if anchor not in weights:
        raise PreflightError(file, line_of(event), f"the alias *{anchor[:60]} stands for nothing, or for itself")
    return weights[anchor]


def _refuse_beyond(file: str, event: Event, size: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LeftUnreadError("limit", file, line_of(event), TOO_DEEP)
    if size > MAX_EXPANDED:
        cause = f"aliases expand it to more than {MAX_EXPANDED:,} characters"
        raise LeftUnreadError("limit", file, line_of(event), cause)


def line_of(node: Node | Event) -> int:
    """The 1-based line on which a node starts."""
    mark = node.start_mark
    return int(mark.line) + 1 if mark else 1


def is_null(node: Node) -> bool:
    """True of null and of `!reset null`, whose tag hides what it is."""
    from yaml import ScalarNode

    return isinstance(node, ScalarNode) and (
        node.tag == _NULL or (node.tag.startswith("!") and node.value in ("", "~", "null"))
    )


def fields(file: str, node: Node) -> dict[str, Field]:
    """The values of a mapping by key, merge keys (`<<`) applied; {} for null.  Raises PreflightError."""
    from yaml import MappingNode

    if is_null(node):
        return {}
    if not isinstance(node, MappingNode):
        raise PreflightError(file, line_of(node), "a mapping (key: value) is expected here")
    own: dict[str, Field] = {}
    merged: dict[str, Field] = {}
    for key, value in node.value:
        name = scalar(file, key)
        if key.tag == _MERGE:
            for source in _merge_sources(value):
                merged = {**fields(file, source), **merged}
        elif name in own:
            raise PreflightError(file, line_of(key), f"the key {shown(name)} stands here twice")
        else:
            own[name] = Field(line_of(key), value)
    return {**merged, **own}


def _merge_sources(value: Node) -> Iterator[MappingNode]:
    from yaml import MappingNode, SequenceNode

    for source in value.value if isinstance(value, SequenceNode) else [value]:
        if isinstance(source, MappingNode):
            yield source


def items(file: str, node: Node) -> list[Node]:
    """The members of a sequence; [] for null.  Raises PreflightError."""
    from yaml import SequenceNode

    if is_null(node):
        return []
    if not isinstance(node, SequenceNode):
        raise PreflightError(file, line_of(node), "a list is expected here")
    return list(node.value)


def scalar(file: str, node: Node) -> str:
    """The text of a scalar as written.  Raises PreflightError."""
    from yaml import ScalarNode

    if not isinstance(node, ScalarNode):
        raise PreflightError(file, line_of(node), "a single value is expected here")
    return str(node.value)
