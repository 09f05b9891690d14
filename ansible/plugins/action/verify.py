"""Does everything that is declared run as it is declared, and nothing else."""

from __future__ import annotations

from ..plugin_utils.asking import FAIL, TYPE_CHECKING, sentences
from ..plugin_utils.declared import Declared

if TYPE_CHECKING:
    from ..plugin_utils.asking import Document


class ActionModule(Declared):
    """Fails where something is not as declared."""

    COMMAND = "verify"
    SPEC = {
        **Declared.DECLARED,
        "allow": {"type": "list", "elements": "str"},
        "only": {"type": "bool", "default": False},
        **FAIL,
    }

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """What is not as declared, who else listens, or what was left open."""
        if not code:
            return None
        wrong = [
            {"service": declared["name"], "message": fault["message"] + "."}
            for declared in document["declared"]
            for fault in declared["faults"]
        ]
        if asked["only"]:
            wrong += [{"message": f"Undeclared: {_place(socket)}."} for socket in document["undeclared"]]
        return sentences(wrong or document["blind_spots"])


def _place(socket: Document) -> str:
    udp = "/udp" if socket["protocol"] == "udp" else ""
    address = socket["local_address"]
    return f"{f'[{address}]' if ':' in address else address}:{socket['local_port']}{udp}"
