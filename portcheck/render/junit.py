"""Preflight as JUnit's XML: a suite for each file, a test case for each declared port.

A port that is not available is a failure, one that could not be established an error, one that was not checked or could
not be resolved is skipped.  The attributes are those that https://github.com/testmoapp/junitxml lists as commonly read.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.plain import advice_lines
from portcheck.render.preflight import remarks, sentences, service, status, who

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    from portcheck.model import Socket
    from portcheck.preflight.declarations import Declaration, PreflightError, Unresolved
    from portcheck.preflight.judge import Finding, PreflightReport
    from portcheck.verification.judge import Finding as Verified
    from portcheck.verification.survey import VerifyReport

    Result = Literal["failure", "error", "skipped"]

SUITE = "portcheck preflight"


class Case(NamedTuple):
    """One test case; `result` is None where it has passed.  No text holds a character that XML 1.0 does not."""

    file: str
    line: int | None
    name: str
    result: Result | None = None
    kind: str = ""
    message: str = ""
    details: str = ""


def document(report: PreflightReport) -> list[str]:
    """The lines of the document, in ASCII."""
    cases = [*map(_case, report.findings), *map(_disabled, report.disabled), *map(_open, report.unresolved)]
    return _xml(cases)


def verify_lines(report: VerifyReport) -> list[str]:
    """The same of verify; whoever is not declared is a case of the first file, which fails with --only."""
    cases = [*map(_verified, report.findings), *map(_disabled, report.disabled), *map(_open, report.unresolved)]
    return _xml([*cases, *_beside(report)], "portcheck verify")


def _verified(finding: Verified) -> Case:
    from portcheck.render.verify import sentences

    case = Case(*_named(finding.declaration, finding.found.target))
    lines = list(sentences(finding))
    if not lines:
        return case
    result: Result = "error" if finding.ok is None else "failure"
    return case._replace(result=result, kind=finding.status, message=lines[0], details="\n".join(lines))


def _beside(report: VerifyReport) -> Iterator[Case]:
    from portcheck.render.verify import by, endpoint

    kinds: tuple[tuple[Result, str, Sequence[Socket]], ...] = (
        ("failure" if report.only else "skipped", "undeclared", report.undeclared.open),
        ("error" if report.only else "skipped", "perhaps undeclared", report.undeclared.doubtful),
    )
    for result, kind, sockets in kinds:
        for socket in sockets:
            message = f"{kind}: {by([socket], report.scene)}"
            yield Case(visible(report.files[0]), None, endpoint(socket), result, kind, message)
    for spot in report.blind_spots:
        message = f"not seen: {visible(spot.message)}"
        yield Case(visible(report.files[0]), None, "sockets", "error" if report.only else "skipped", spot.code, message)


def failure(error: PreflightError) -> list[str]:
    """The document of a file that cannot be read: one error."""
    cause = visible(error.cause)
    return _xml([Case(visible(error.file), error.line, "readable", "error", "unreadable", cause, cause)])


def _case(finding: Finding) -> Case:
    case = Case(*_named(finding.declaration, finding.diagnosis.target))
    lines = [*sentences(finding), *remarks(finding)]
    if finding.status == "not-asked":
        return case._replace(result="skipped", kind=finding.status, message=status(finding), details="\n".join(lines))
    if finding.fine:
        return case._replace(details="\n".join(filter(None, (_running(finding), *lines))))
    for each in finding.advice:
        lines += advice_lines(each)
    result: Result = "error" if finding.status == "unknown" else "failure"
    return case._replace(result=result, kind=finding.status, message=lines[0], details="\n".join(lines))


def _running(finding: Finding) -> str:
    return f"{status(finding)}: {who(finding.instead or finding.diagnosis)}" if finding.status == "running" else ""


def _disabled(declaration: Declaration) -> Case:
    off = f"profile {', '.join(map(visible, declaration.compose_profiles))} is off"
    message = f"not checked: {off if declaration.containers else 'its scale is 0'}"
    return Case(*_named(declaration, declaration.target(declaration.port)), "skipped", "disabled", message)


def _open(spot: Unresolved) -> Case:
    message = f"not seen: {visible(spot.message)}"
    return Case(visible(spot.file), spot.line, f"{service(spot)} (line {spot.line})", "skipped", spot.code, message)


def _named(declaration: Declaration, target: str) -> tuple[str, int, str]:
    name = f"{service(declaration)} {visible(target)} (line {declaration.line})"
    return visible(declaration.file), declaration.line, name


def _xml(cases: Iterable[Case], name: str = SUITE) -> list[str]:
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.file, []).append(case)
    every = [case for members in suites.values() for case in members]
    root = ET.Element("testsuites", {"name": name, **_counts(every)})
    for file, members in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": file, "file": file, **_counts(members)})
        for case in members:
            _add(suite, case)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return text.decode("ascii").splitlines()


def _counts(cases: list[Case]) -> dict[str, str]:
    results = [case.result for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(results.count("failure")),
        "errors": str(results.count("error")),
        "skipped": str(results.count("skipped")),
    }


def _add(suite: ET.Element, case: Case) -> None:
    line = {"line": str(case.line)} if case.line else {}
    element = ET.SubElement(suite, "testcase", {"name": case.name, "classname": case.file, "file": case.file, **line})
    if case.result:
        result = ET.SubElement(element, case.result, {"type": case.kind, "message": case.message})
        result.text = case.details or None
    elif case.details:
        ET.SubElement(element, "system-out").text = case.details
