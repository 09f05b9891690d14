"""What `pick` and `run` print besides the port: why candidates were skipped, and remarks on those that were chosen."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.words import noted, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.chooser import Choice
    from portcheck.model import Diagnosis


def remarks(choice: Choice) -> Iterator[str]:
    """The lines for stderr."""
    yield from skipped(choice.diagnoses)
    yield from map(noted, choice.notes)
    chosen = (diagnosis for diagnosis in choice.diagnoses if diagnosis.port in choice.ports)
    yield from unseen(spot for diagnosis in chosen for spot in diagnosis.blind_spots)


def stable_by(folder: str) -> str:
    """For `--stable` without a name."""
    return f"stable for {visible(folder)}; --stable=NAME takes another name"


def skipped(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """`20000: in use by Service.exe (PID 5444)`"""
    for diagnosis in diagnoses:
        if diagnosis.verdict != "free":
            yield f"{diagnosis.port}: {_reason(diagnosis)}"
        for note in diagnosis.notes:
            if note.code == "leased":
                yield f"{diagnosis.port}: {note.message}"


def _reason(diagnosis: Diagnosis) -> str:
    from portcheck.render.owners import holders

    owners = holders(diagnosis.owners) if diagnosis.verdict == "in-use" else ""
    return f"in use by {owners}" if owners else visible(diagnosis.message)
