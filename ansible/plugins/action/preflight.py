"""Could everything that is declared be started on a host."""

from __future__ import annotations

from ..plugin_utils.asking import FAIL, PROBE, TYPE_CHECKING, sentences
from ..plugin_utils.declared import Declared

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document

FINE = ("free", "running", "fallback")


class ActionModule(Declared):
    """Fails where a declared server could not be started."""

    COMMAND = "preflight"
    SPEC = {**Declared.DECLARED, **PROBE, **FAIL}

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """What the ports say that could not be had; or what was left open."""
        wrong = [result for result in document["results"] if result["status"] not in FINE]
        return sentences(wrong or document["blind_spots"]) if code else None
