"""What `pick` and `run` print besides the port: why candidates were skipped, and remarks on those that were chosen."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.words import noted, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.chooser import Choice
    from portcheck.model import Diagnosis, Note
    from portcheck.render.layout import Canvas


def remarks(choice: Choice) -> Iterator[str]:
    """The lines for stderr."""
    yield from skipped(choice.diagnoses)
    yield from map(noted, choice.notes)
    yield from unseen(spot for diagnosis in _chosen(choice) for spot in diagnosis.blind_spots)


def stable_by(folder: str) -> str:
    """For `--stable` without a name."""
    return f"stable for {visible(folder)}; --stable=NAME takes another name"


def skipped(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """`20000: in use by Service.exe (PID 5444)`"""
    for diagnosis in diagnoses:
        if diagnosis.verdict != "free":
            yield f"{diagnosis.port}: {_reason(diagnosis)}"
    for diagnosis, note in _leased(diagnoses):
        yield f"{diagnosis.port}: {note.message}"


def _leased(diagnoses: Iterable[Diagnosis]) -> Iterator[tuple[Diagnosis, Note]]:
    """What somebody else was given."""
    for diagnosis in diagnoses:
        yield from ((diagnosis, note) for note in diagnosis.notes if note.code == "leased")


def _reason(diagnosis: Diagnosis) -> str:
    from portcheck.render.owners import holders

    owners = holders(diagnosis.owners) if diagnosis.verdict == "in-use" else ""
    return f"in use by {owners}" if owners else visible(diagnosis.sentence.short or diagnosis.message)


def drawn(choice: Choice, canvas: Canvas) -> Iterator[str]:
    """The same for a person: as an overview of a check, then what else is worth knowing."""
    from portcheck.render.voice import voiced

    yield from skipped_drawn(choice.diagnoses, canvas)
    others = remarks(choice._replace(diagnoses=_chosen(choice)))
    yield from voiced((f"  {line}" for line in others), canvas)


def skipped_drawn(diagnoses: Sequence[Diagnosis], canvas: Canvas) -> Iterator[str]:
    """`✗ 20000  Service.exe (PID 5444, SYSTEM)`"""
    from portcheck.diagnosis.pipeline import Stretch
    from portcheck.render.layout import Piece, marked, paint
    from portcheck.render.terminal import overview

    found = [diagnosis._replace(notes=(), blind_spots=()) for diagnosis in diagnoses if diagnosis.verdict != "free"]
    yield from overview((Stretch(each, each.port) for each in found), canvas, [str(each.port) for each in found])
    for diagnosis, note in _leased(diagnoses):
        told = [Piece(str(diagnosis.port), "bold"), Piece(f"  {note.message}")]
        yield from paint(marked(told, canvas, "doubtful"), canvas)


def _chosen(choice: Choice) -> tuple[Diagnosis, ...]:
    return tuple(diagnosis for diagnosis in choice.diagnoses if diagnosis.port in choice.ports)
