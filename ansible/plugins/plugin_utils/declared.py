"""Declarations of ports, from the playbook or from files on the host: what preflight and verify have in common."""

from __future__ import annotations

import json

from .asking import TYPE_CHECKING, Asking, options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .asking import Document

DECLARATION = "portcheck.toml"


class Declared(Asking):
    """A question about a declaration."""

    MODULE = "ask_full"  # with what reads YAML, TOML and .env, which no host needs to have
    DECLARED: Mapping[str, Any] = {
        "ports": {"type": "dict"},
        "project": {"type": "str"},
        "files": {"type": "list", "elements": "str"},
        "docker": {"type": "bool", "default": True},
        "allow_outside": {"type": "bool", "default": False},
        "strict": {"type": "bool", "default": False},
    }
    RULES = {"required_one_of": [SOURCES := ("ports", "project", "files")], "mutually_exclusive": [SOURCES]}

    def options(self, asked: Document) -> list[str]:
        """What preflight and verify have in common."""
        project = [f"--directory={asked['project']}"] if asked["project"] is not None else []
        return ["--format=json", *options(asked), *project]

    def operands(self, asked: Document) -> Sequence[str]:
        """The files."""
        if asked["ports"] is not None:
            return [DECLARATION]
        return ["--", *(asked["files"] or ())]

    def files(self, asked: Document) -> Mapping[str, str]:
        """The declaration of the playbook, as portcheck reads it."""
        return {} if asked["ports"] is None else {DECLARATION: declaration(asked)}


def declaration(asked: Document) -> str:
    """What the playbook declares → TOML."""
    allowed = f"allow = {_toml(asked['allow'])}\n" if asked.get("allow") else ""
    return f"{allowed}[ports]\n" + "".join(
        f"{_text(name)} = {_toml(value)}\n" for name, value in asked["ports"].items()
    )


def _toml(value: Any) -> str:
    """A value on one line; what TOML has no word for, portcheck refuses in its own words."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(key)} = {_toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return _text(value)


def _text(value: Any) -> str:
    """JSON's strings are TOML's, but for surrogates and DEL."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
