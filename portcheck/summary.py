"""A range of free ports in one sentence.  Pure."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Diagnosis


def speaks_of_ports(diagnosis: Diagnosis) -> bool:
    """Whether its sentence can speak of several ports: "Port 80 is free ...", "UDP port 53 is free ..."."""
    return diagnosis.verdict == "free" and _subject(diagnosis) in diagnosis.message


def together(first: Diagnosis, last: int) -> Diagnosis:
    """The answer for a range of ports, of which that for the first one is given: "Ports 8000-8999 are free ..."."""
    if first.port == last:
        return first
    return first._replace(message=first.message.replace(_subject(first), f"orts {first.port}-{last} are ", 1))


def _subject(diagnosis: Diagnosis) -> str:
    return f"ort {diagnosis.port} is "
