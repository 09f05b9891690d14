"""Until a server listens on a port of a host, or until one could be started there."""

from __future__ import annotations

from ..plugin_utils.asking import PROBE, SERVER, TARGETS, TYPE_CHECKING, WHERE, Asking, sentences

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document


class ActionModule(Asking):
    """Fails where it was in vain."""

    COMMAND = "wait"
    SPEC = {
        "targets": {**TARGETS, "required": True},
        "until": {"type": "str", "choices": ["listening", "free"], "default": "listening"},
        "any": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 30},
        "stable": {"type": "float", "default": 0},
        "fail_fast": {"type": "bool", "default": False},
        "connect": {"type": "bool", "default": False},
        **WHERE,
        **SERVER,
        **PROBE,
    }

    def options(self, asked: Document) -> list[str]:
        """In check mode one look: what should have started has not."""
        if self._task.check_mode:
            asked = {**asked, "timeout": 0, "stable": 0}
        return [*super().options(asked), *(["--free"] if asked["until"] == "free" else [])]

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """What is missing."""
        if not code or self._task.check_mode:
            return None
        missing = [target for target in document["targets"] if not target["met"]]
        hopeless = document["outcome"] == "hopeless"
        return f"{'waiting cannot help' if hopeless else 'time is up'}: {sentences(missing)}"
