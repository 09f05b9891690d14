"""Can a server listen on these ports of a host; if not, who has them, and why."""

from __future__ import annotations

from ..plugin_utils.asking import FAIL, FAMILY, PROBE, SERVER, TARGETS, TYPE_CHECKING, WHERE, Asking, sentences

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document

WORST_FIRST = ("in-use", "denied", "unavailable", "unknown", "free")


class ActionModule(Asking):
    """Fails where a port is not known to be free."""

    COMMAND = "check"
    SPEC = {
        "targets": {**TARGETS, "required": True},
        "detail": {"type": "str", "choices": ["full", "brief"], "default": "full"},
        **WHERE,
        **FAMILY,
        **SERVER,
        **PROBE,
        **FAIL,
    }

    def result(self, asked: Document, code: int, document: Document) -> Document:
        """With the worst verdict of all."""
        verdicts = {result["verdict"] for result in document["results"]}
        worst = next((verdict for verdict in WORST_FIRST if verdict in verdicts), "unknown")
        return super().result(asked, code, {**document, "verdict": worst})

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """What the ports say that are not free, worst first."""
        taken = [result for result in document["results"] if result["verdict"] != "free"]
        taken.sort(key=lambda result: WORST_FIRST.index(result["verdict"]))
        return sentences(taken) if code else None
