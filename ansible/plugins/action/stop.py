"""Free a port of a host safely."""

from __future__ import annotations

from ..plugin_utils.asking import FAMILY, TARGETS, TYPE_CHECKING, WHERE, Asking, sentences

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document

GOOD = ("free", "already-free", "planned")


class ActionModule(Asking):
    """Fails where a port is not free afterwards; in check mode it plans."""

    COMMAND = "stop"
    SPEC = {
        "targets": TARGETS,
        "pid": {"type": "int"},
        "all": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "timeout": {"type": "float"},
        "settle": {"type": "float", "default": 2},
        **WHERE,
        **FAMILY,
    }
    RULES = {"required_one_of": [("targets", "pid")]}

    def options(self, asked: Document) -> list[str]:
        """The playbook is the consent."""
        return [*super().options(asked), "--dry-run" if self._task.check_mode else "--yes"]

    def result(self, asked: Document, code: int, document: Document) -> Document:
        """Changed where somebody was signalled or a manager asked: then there is an answer from afterwards."""
        changed = any(each["after"] or each["outcome"] == "planned" for each in document["results"])
        return {**super().result(asked, code, document), "changed": changed}

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """Why the ports are not free."""
        wrong = [result for result in document["results"] if result["outcome"] not in GOOD]
        return sentences(wrong) if code else None
