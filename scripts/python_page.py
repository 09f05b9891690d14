"""docs/python-reference.md from the package: what `import portcheck` offers, in the words of its docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import portcheck

BY = "written by scripts/reference from portcheck/__init__.py"
# Values whose fields are keys of a document → where these are told.
IN_JSON = {"Diagnosis": "result", "Socket": "socket"}
NOT_FOR_USERS = ("held",)  # how a look at the host completes a socket


def page() -> str:
    return "\n".join((f"<!-- {BY} -->", *_page()))


def _page() -> Iterator[str]:
    named = {name: getattr(portcheck, name) for name in portcheck.__all__ if not name.startswith("_")}
    yield from (
        "# Python, name by name",
        "",
        "What `import portcheck` offers.  With examples: [from Python](python.md).  Everything is typed (`py.typed`),",
        "and nothing heavy is imported before it is used.",
        "",
    )
    for name, value in named.items():
        if inspect.isfunction(value):
            yield from _function(f"portcheck.{name}", value)
    for name, value in named.items():
        if inspect.isclass(value):
            yield from _class(name, value)


def _function(name: str, function: Callable[..., Any]) -> Iterator[str]:
    yield from (f"## {name}", "", "```python", signature(name, function), "```", "", _told(function), "")


def _class(name: str, value: type) -> Iterator[str]:
    base = f"Derives from `{value.__base__.__name__}`.  " if value.__base__ and issubclass(value, Exception) else ""
    yield from (f"## portcheck.{name}", "", f"{base}{_told(value)}", "")
    if part := IN_JSON.get(name):
        yield from (
            f"Its attributes are the keys of [`{part}`](json-reference.md#{part}) in the JSON, as named tuples.",
            "",
        )
    members = list(_members(value))
    yield from (*members, "") if members else ()


def _members(value: type) -> Iterator[str]:
    for name, member in vars(value).items():
        if name.startswith("_") or name in NOT_FOR_USERS:
            continue
        if isinstance(member, property):
            yield f"- `.{name}`: {_told(member)}"
        elif inspect.isfunction(member):
            yield f"- `.{signature(name, member)}`: {_told(member)}"


def signature(name: str, function: Callable[..., Any]) -> str:
    """As it is written: annotations are text, and the same in every version of Python."""
    shown = inspect.signature(function)
    arguments: list[str] = []
    starred = False
    for parameter in shown.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            arguments.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        arguments.append(f"{star}{parameter.name}: {parameter.annotation}{default}")
    line = f"{name}({', '.join(arguments)}) -> {shown.return_annotation}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f") -> {shown.return_annotation}"


def _default(value: object) -> str:
    """The kernel's limit is one number here and another one there."""
    import socket

    return "SOMAXCONN" if value is socket.SOMAXCONN else repr(value)


def _told(documented: object) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(documented) or "").strip()
