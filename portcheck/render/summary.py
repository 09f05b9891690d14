"""A range of free ports in one sentence."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Diagnosis


def summarise(diagnoses: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Neighbours that are free and differ in nothing but the port become one, whose message speaks of all.

    "Port 8000 is free on every address." and so on become "Ports 8000-8999 are free on every address."
    For people: a JSON document has a result for every port, and `-v` a bind table.
    """
    run: list[Diagnosis] = []
    for diagnosis in diagnoses:
        if run and not _continues(run[-1], diagnosis):
            yield _together(run)
            run = []
        run.append(diagnosis)
    if run:
        yield _together(run)


def _continues(before: Diagnosis, after: Diagnosis) -> bool:
    if after.port != before.port + 1 or before.verdict != "free" or _subject(before) not in before.message:
        return False
    return _but_for_the_port(before) == _but_for_the_port(after)


def _but_for_the_port(diagnosis: Diagnosis) -> Diagnosis:
    message = diagnosis.message.replace(_subject(diagnosis), "", 1)
    return diagnosis._replace(target="", port=0, message=message)


def _subject(diagnosis: Diagnosis) -> str:
    return f"ort {diagnosis.port} is "  # of "Port 80 is ..." and of "UDP port 53 is ..."


def _together(run: list[Diagnosis]) -> Diagnosis:
    first, last = run[0], run[-1]
    if first is last:
        return first
    ports = f"orts {first.port}-{last.port} are "
    return first._replace(message=first.message.replace(_subject(first), ports, 1))
