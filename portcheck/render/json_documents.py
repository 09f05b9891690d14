"""The JSON documents: values → dicts, with the contract's keys in the contract's order.

`schema.json`, in the package, describes them.  What is not known is null.
"""

from __future__ import annotations

from portcheck.model import json_value
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.text import utc, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.chooser import Choice
    from portcheck.model import BlindSpot, Diagnosis, Owner, Socket
    from portcheck.preflight.declarations import Declaration, Unresolved
    from portcheck.preflight.judge import Finding, PreflightReport
    from portcheck.stop.outcome import Report
    from portcheck.stop.plan import Ending, Step
    from portcheck.verification.judge import Finding as Verified
    from portcheck.verification.survey import VerifyReport
    from portcheck.waiting.loop import Condition, Standing, Waited
    from portcheck.watching.changes import Event

SCHEMA_VERSION = 1


def check_chunks(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """What `check --json` prints, in pieces as answers come: those of 65,535 ports are never in memory together."""
    yield f'{{"schema_version": {SCHEMA_VERSION}, "results": ['
    complete, separator = True, ""
    for diagnosis in diagnoses:
        complete = complete and diagnosis.complete
        yield separator + dumps(diagnosis.to_dict())
        separator = ", "
    yield f'], "complete": {dumps(complete)}}}\n'


def pick_document(choice: Choice) -> dict[str, Any]:
    """What `pick --json` prints; no port where too few candidates are free."""
    return {
        "schema_version": SCHEMA_VERSION,
        "port": choice.ports[0] if choice.ports else None,
        "ports": list(choice.ports),
        "notes": json_value(choice.notes),
        "leased_until": None if choice.leased_until is None else utc(choice.leased_until),
        "candidates": [diagnosis.to_dict() for diagnosis in choice.diagnoses],
    }


def list_document(
    sockets: Iterable[Socket], owners: Iterable[Owner], blind_spots: Sequence[BlindSpot]
) -> dict[str, Any]:
    """What `list --json` prints; the owners' indexes are into `sockets`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": not blind_spots,
        "blind_spots": json_value(tuple(blind_spots)),
        "sockets": [socket.to_dict() for socket in sockets],
        "owners": [owner.to_dict() for owner in owners],
    }


def watch_event(event: Event) -> dict[str, Any]:
    """What `watch --json` prints on a line of its own."""
    return {
        "schema_version": SCHEMA_VERSION,
        "event": event.kind,
        "at": utc(event.at),
        "socket": event.socket.to_dict(),
        "owners": [owner.to_dict() for owner in event.owners],
        "changed": list(event.what),
        "since": utc(event.since),
        "times": event.times,
        "between_looks": event.between_looks,
        "complete": not event.blind_spots,
        "blind_spots": json_value(event.blind_spots),
    }


def stop_document(reports: Iterable[Report]) -> dict[str, Any]:
    """What `stop --json` prints: for each port what was planned, and the whole answer before and after."""
    results = [_stopped(report) for report in reports]
    complete = all((entry["after"] or entry["before"])["complete"] for entry in results)
    return {"schema_version": SCHEMA_VERSION, "complete": complete, "results": results}


def _stopped(report: Report) -> dict[str, Any]:
    outcome: dict[str, Any] = json_value(
        {
            "target": report.before.target,
            "protocol": report.before.protocol,
            "port": report.before.port,
            "outcome": report.outcome,
            "message": report.message,
            "refusal": report.plan.refusal,
        }
    )
    return {
        **outcome,
        "plan": [_step(step) for step in report.plan.steps],
        "advice": json_value(report.advice),
        "before": report.before.to_dict(),
        "after": report.after.to_dict() if report.after else None,
    }


def _step(step: Step) -> dict[str, Any]:
    """A command, or the PIDs of the processes that are signalled first; and everybody who ends by it."""
    return {
        "command": json_value(step.command),
        "signalled": [process.pid for process in step.signalled],
        "processes": [_ending(ending) for ending in step.endings],
    }


def _ending(ending: Ending) -> dict[str, Any]:
    from portcheck.stop.plan import ended_by  # no other document needs it

    process = ending.process
    ending_process: dict[str, Any] = json_value(
        {
            "pid": process.pid,
            "name": process.name,
            "user": process.user,
            "role": ending.role,
            "signal": ended_by(process) if ending.role == "signalled" else None,
            "also_serves": ending.also_serves,
        }
    )
    return ending_process


def wait_document(condition: Condition, waited: Waited) -> dict[str, Any]:
    """`result` is null for a target that was connected to: there is no table of another machine's sockets."""
    diagnoses = [standing.diagnosis for standing in waited.standings]
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": all(diagnosis.complete for diagnosis in diagnoses if diagnosis),
        "condition": condition,
        "outcome": waited.outcome,
        "seconds": round(waited.seconds, 3),
        "targets": [_standing(standing) for standing in waited.standings],
    }


def preflight_document(report: PreflightReport) -> dict[str, Any]:
    """A result for each declared port, with its place; what could not be resolved is a blind spot with its own."""
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": report.complete,
        "files": json_value(report.files),
        "results": [_found(finding) for finding in report.findings],
        "disabled": [_not_asked(declaration) for declaration in report.disabled],
        "blind_spots": [*map(_unresolved, report.unresolved)],
    }


def _unresolved(spot: Unresolved) -> dict[str, Any]:
    return {"code": spot.code, "message": utf8(spot.message), "remedy": None, **_place(spot)}


def _found(finding: Finding) -> dict[str, Any]:
    """The result for the declared port, how it is declared, and what becomes of it.

    Notes and advice about the declaration come before those about whoever holds the port.
    """
    diagnosis = finding.diagnosis
    diagnosis = diagnosis._replace(
        notes=(*finding.notes, *diagnosis.notes),
        advice=tuple(dict.fromkeys((*finding.advice, *diagnosis.advice))),
    )
    return {
        **diagnosis.to_dict(),
        **_declared(finding.declaration),
        "status": finding.status,
        "instead": finding.instead.to_dict() if finding.instead else None,
        "rival": _place(finding.rival) if finding.rival else None,
    }


def _not_asked(declaration: Declaration) -> dict[str, Any]:
    fields = {
        "target": declaration.target(declaration.port),
        "protocol": declaration.protocol,
        "port": declaration.port,
        "host": declaration.host,
    }
    return {**json_value(fields), **_declared(declaration)}


def _declared(declaration: Declaration) -> dict[str, Any]:
    """What a declaration has beyond a result."""
    fields = {
        "kind": declaration.kind,
        "fallback": declaration.fallback,
        "profile": declaration.profile,
        "compose_profiles": declaration.compose_profiles,
        "compose_project": None if declaration.private else declaration.compose_project,
        "variables": declaration.variables,
        "containers": declaration.containers,
    }
    return {**_place(declaration), **json_value(fields)}


def _place(place: Declaration | Unresolved) -> dict[str, Any]:
    return {"file": utf8(place.file), "line": place.line, "service": json_value(place.service)}


def verify_document(report: VerifyReport) -> dict[str, Any]:
    """A result for each declared port, and whoever else listens; the owners' indexes are into `undeclared`."""
    from portcheck.listing import Listing  # no other document needs it

    undeclared = report.undeclared
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": report.complete,
        "files": json_value(report.files),
        "declared": [_verified(finding) for finding in report.findings],
        "undeclared": [socket.to_dict() for socket in undeclared.open],
        "owners": [owner.to_dict() for owner in Listing(undeclared.open, report.scene.processes).owners()],
        "doubtful": [socket.to_dict() for socket in undeclared.doubtful],
        "apart": [{"reason": each.reason, "socket": each.socket.to_dict()} for each in undeclared.apart],
        "disabled": [_not_asked(declaration) for declaration in report.disabled],
        "blind_spots": [*map(_unresolved, report.unresolved), *json_value(report.blind_spots)],
    }


def _verified(finding: Verified) -> dict[str, Any]:
    declaration = finding.declaration
    return {
        "name": json_value(declaration.service),
        "target": json_value(finding.found.target),
        "expected": _expected(declaration),
        "found": finding.found.to_dict(),
        "ok": finding.ok,
        "status": finding.status,
        "faults": json_value(finding.faults),
        "sockets": [socket.to_dict() for socket in finding.sockets],
        **_declared(declaration),
    }


def _expected(declaration: Declaration) -> dict[str, Any]:
    expected = declaration.expected._asdict()
    where = {"protocol": declaration.protocol, "port": declaration.port, "host": declaration.host}
    by_whom: dict[str, Any] = json_value({**where, **expected})
    return by_whom


def _standing(standing: Standing) -> dict[str, Any]:
    endpoint, diagnosis = standing.endpoint, standing.diagnosis
    fields: dict[str, Any] = {
        "target": endpoint.target,
        "protocol": endpoint.protocol,
        "port": endpoint.port,
        "host": endpoint.host,
        "met": standing.met,
        "message": standing.message,
        "seconds_left": standing.seconds_left,
        "status": standing.status,
    }
    return {**json_value(fields), "result": diagnosis.to_dict() if diagnosis else None}


def dumps(document: object) -> str:
    """The document on one line, in ASCII.

    ASCII is valid UTF-8 in every locale and code page, and nothing in it steers a terminal (as C1 controls
    and bidi marks would).  One line, because `json` indents in Python code, ten times slower.
    """
    import json

    return json.dumps(document)
