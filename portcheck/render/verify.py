"""Verify for people: a line for each declared port, what is not as declared, who else listens, and a summary.

portcheck.toml:2  ssh  22  as declared    ssh.service (sshd, PID 812, root)
portcheck.toml:3  web  80  not listening

portcheck.toml:3 web: Nobody listens on port 80.

undeclared: 0.0.0.0:9999  python3 (PID 77, ann)

2 declared ports: 1 as declared, 1 not listening; 1 undeclared listener.
"""

from __future__ import annotations

from portcheck.identify.describe import program
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.holder import LONGEST_NAME, name
from portcheck.render.layout import MARKS, Piece, cells, painted, wrapped
from portcheck.render.preflight import at, place, service
from portcheck.render.rows import aligned, apart
from portcheck.render.table import UNSEEN, scoped
from portcheck.render.words import NAME_WIDTH, shortened, unseen, user
from portcheck.verification.by_whom import holders, leading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.model import Process, Scene, Socket
    from portcheck.render.layout import Canvas, Mark
    from portcheck.verification.judge import Finding, Status
    from portcheck.verification.survey import VerifyReport
    from portcheck.verification.undeclared import Reason

WORDS: Mapping[Status, str] = {
    "as-declared": "as declared",
    "not-running": "not running",
    "not-listening": "not listening",
    "differs": "not as declared",
    "unknown": "unknown",
}
MARK: Mapping[bool | None, Mark] = {True: "good", False: "bad", None: "doubtful"}
REASONS: Mapping[Reason, str] = {
    "loopback": "on loopback",
    "allowed": "allowed",
    "udp-client": "of UDP clients",
    "rpc": "of RPC services",
}
WIDEST = (40, 20, 24, 15)  # a longer cell moves its own row only
INDENT = "  "


def text(report: VerifyReport) -> Iterator[str]:
    """The lines for pipes and logs."""
    rows = [_row(finding, report.scene) for finding in report.findings]
    rows += [
        (at(each), service(each), visible(each.target(each.port)), "not checked", "it is switched off")
        for each in report.disabled
    ]
    blocks = [aligned(rows, WIDEST), _faults(report.findings), _undeclared(report), _unseen(report), [summary(report)]]
    yield from apart(blocks, "")


def _row(finding: Finding, scene: Scene) -> tuple[str, ...]:
    declaration = finding.declaration
    whose = by(finding.sockets, scene) if finding.sockets else ""
    return at(declaration), service(declaration), visible(finding.found.target), WORDS[finding.status], whose


def _faults(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        for sentence in sentences(finding):
            yield f"{place(finding.declaration)}: {sentence}"


def sentences(finding: Finding) -> Iterator[str]:
    """What is not as it is declared."""
    for fault in finding.faults:
        yield visible(f"{fault.message}.")


def _undeclared(report: VerifyReport) -> Iterator[str]:
    for title, sockets in (("undeclared", report.undeclared.open), ("not told", report.undeclared.doubtful)):
        for socket in sockets:
            yield f"{title}: {endpoint(socket)}  {by([socket], report.scene)}"


def _unseen(report: VerifyReport) -> Iterator[str]:
    for spot in report.unresolved:
        yield f"not seen: {place(spot)}: {visible(spot.message)}"
    yield from unseen(report.blind_spots)


def endpoint(socket: Socket) -> str:
    """`0.0.0.0:9999`, `[::]:53/udp`"""
    address = scoped(socket)
    place = f"[{address}]" if ":" in address else address
    return f"{place}:{socket.local_port}" + ("/udp" if socket.protocol == "udp" else "")


def by(sockets: Sequence[Socket], scene: Scene) -> str:
    """`ssh.service (sshd, PID 812 and 1 more, root)`; several servers one after the other."""
    return "; ".join(dict.fromkeys(_holder(socket, scene) for socket in sockets))


def _holder(socket: Socket, scene: Scene) -> str:
    processes = holders(socket, scene).processes
    kernels = scene.kernel_owned.get((socket.protocol, socket.local_port))
    if not processes:
        return visible(f"the kernel's {kernels}") if kernels else "no process that is known"
    process = leading(processes)
    called = shortened(name(process), LONGEST_NAME)
    details = ", ".join(_details(process, len(processes) - 1))
    return f"{called} ({details})" if details else called


def _details(process: Process, others: int) -> Iterator[str]:
    if not process.pid:
        yield "hidden from here"
        return
    if name(process) != program(process):
        yield shortened(program(process), NAME_WIDTH)
    yield f"PID {process.pid}" + (f" and {others} more" if others else "")
    yield user(process) or UNSEEN


def summary(report: VerifyReport) -> str:
    """`2 declared ports: 1 as declared, 1 not listening; 1 undeclared listener.`"""
    counts: dict[str, int] = {}
    for finding in report.findings:
        counts[WORDS[finding.status]] = counts.get(WORDS[finding.status], 0) + 1
    number = len(report.findings)
    declared = f"{_counted(number, 'declared port')}: " + ", ".join(f"{many} {word}" for word, many in counts.items())
    parts = [declared if number else "no port is declared for certain"]
    unjudged = sum(spot.code == "not-judged" for spot in report.unresolved)
    if left := len(report.unresolved) - unjudged:
        parts.append(f"{_counted(left, 'entry', 'entries')} could not be resolved")
    if unjudged:
        parts.append(f"{unjudged} not judged")
    rest = report.undeclared
    if rest.open:
        parts.append(_counted(len(rest.open), "undeclared listener"))
    elif report.only and not rest.doubtful:
        parts.append("nobody else can be reached")
    if rest.doubtful:
        parts.append(f"{len(rest.doubtful)} {'more ' if rest.open else ''}may be undeclared")
    return "; ".join(parts) + "." + _of_no_concern(report)


def _of_no_concern(report: VerifyReport) -> str:
    """` Of no concern: 3 on loopback, 1 allowed.`"""
    if not report.only or not report.undeclared.apart:
        return ""
    counts: dict[str, int] = {}
    for each in report.undeclared.apart:
        counts[REASONS[each.reason]] = counts.get(REASONS[each.reason], 0) + 1
    return " Of no concern: " + ", ".join(f"{many} {reason}" for reason, many in counts.items()) + "."


def _counted(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def drawn(report: VerifyReport, canvas: Canvas) -> Iterator[str]:
    """The same at a terminal, with the marks of a check: each port with who listens, or what is wrong."""
    names = [service(finding.declaration) for finding in report.findings]
    targets = [visible(finding.found.target) for finding in report.findings]
    names_width = min(max(map(cells, names), default=0), WIDEST[1])
    targets_width = min(max(map(cells, targets), default=0), WIDEST[2])
    for finding, called, target in zip(report.findings, names, targets):
        label = f"{called.ljust(names_width)}{INDENT}{target.ljust(targets_width)}{INDENT}"
        told = [
            Piece("; ".join(sentences(finding)) or _at_rest(finding, report.scene), "" if finding.faults else "dim")
        ]
        yield from _line(canvas, MARK[finding.ok], label, told)
    beside: tuple[tuple[Mark, str, Sequence[Socket]], ...] = (
        ("bad" if report.only else "doubtful", "nobody declares", report.undeclared.open),
        ("doubtful", "perhaps nobody declares", report.undeclared.doubtful),
    )
    for mark, title, sockets in beside:
        for socket in sockets:
            told = [Piece(f"{by([socket], report.scene)}: {title} it", "dim")]
            yield from _line(canvas, mark, f"{endpoint(socket)}{INDENT}", told)
    yield ""
    for line in (*_unseen(report), summary(report)):
        for pieces in wrapped([Piece(line, "dim")], canvas.width, further=INDENT):
            yield painted(pieces, colour=canvas.colour)


def _at_rest(finding: Finding, scene: Scene) -> str:
    return by(finding.sockets, scene) if finding.sockets else "not running, and need not"


def _line(canvas: Canvas, mark: Mark, label: str, told: Sequence[Piece]) -> Iterator[str]:
    sign = MARKS[mark]
    start = [Piece(f"{sign.sign if canvas.signs else sign.plain} ".ljust(2 if canvas.signs else 3), sign.style)]
    before = 2 + cells(label)
    further = " " * before if before <= canvas.width // 2 else INDENT * 2
    for pieces in wrapped(told, canvas.width, start=[*start, Piece(label, "bold")], further=further):
        yield painted(pieces, colour=canvas.colour)
