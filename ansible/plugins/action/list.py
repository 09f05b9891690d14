"""What holds the ports of a host, as the fact `portcheck`."""

from __future__ import annotations

from ..plugin_utils.asking import FAMILY, TARGETS, TYPE_CHECKING, Asking

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document


class ActionModule(Asking):
    """Sets facts."""

    COMMAND = "list"
    SPEC = {
        "targets": {**TARGETS, "default": []},
        "protocol": {"type": "str", "choices": ["tcp", "udp"]},
        "user": {"type": "str"},
        "connections": {"type": "bool", "default": False},
        **FAMILY,
    }

    def options(self, asked: Document) -> list[str]:
        """`list` shows both protocols unless told."""
        return [*super().options(asked), *(["--tcp"] if asked["protocol"] == "tcp" else [])]

    def result(self, asked: Document, code: int, document: Document) -> Document:
        """The document as a fact."""
        return {"changed": False, "ansible_facts": {"portcheck": document}}
