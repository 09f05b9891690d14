"""What the hosts answered, as a matrix of hosts and ports: the values behind the pages of plugin_utils/page.py.

Everything of a host (names of processes, services and containers, messages, reasons) is strangers' text here, and is
escaped where a page is written.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Document = Mapping[str, Any]

# Worst first.  `unasked` stands for a host that gave no answer at all: it may be as bad as any.
VERDICTS = ("in-use", "missing", "differs", "denied", "unavailable", "unasked", "unknown", "free", "fine")
GOOD = ("free", "fine")
# The words of preflight and verify that are no verdicts → what they are here.
STATUSES = {
    "running": "fine",
    "fallback": "fine",
    "declared-twice": "in-use",
    "as-declared": "fine",
    "not-running": "fine",  # it may, and does not have to
    "not-listening": "missing",
}


class Cell(NamedTuple):
    """What is true of one port of one host."""

    verdict: str
    owner: str = ""  # whoever holds it, as it is called
    message: str = ""
    unseen: tuple[str, ...] = ()  # what could not be seen, and would help


class Row(NamedTuple):
    """One host: its cells by their columns, or why it could not be asked."""

    host: str
    cells: Mapping[str, Cell]
    reason: str = ""

    @property
    def worst(self) -> str:
        """The worst verdict of this host."""
        if self.reason:
            return "unasked"
        found = {cell.verdict for cell in self.cells.values()}
        return next((verdict for verdict in VERDICTS if verdict in found), "unknown")


class Finding(NamedTuple):
    """The same thing wrong on some hosts."""

    column: str
    verdict: str
    owner: str
    hosts: tuple[tuple[str, str], ...]  # host, and its own sentence


class Report(NamedTuple):
    """The whole matrix."""

    columns: tuple[str, ...]  # 80, 53/udp, 127.0.0.1:8000 in the order of ports
    rows: tuple[Row, ...]  # worst first
    findings: tuple[Finding, ...]  # worst first, then those on most hosts

    def count(self, verdict: str) -> int:
        """How many cells have this verdict; of `unasked`: how many hosts."""
        if verdict == "unasked":
            return sum(bool(row.reason) for row in self.rows)
        return sum(cell.verdict == verdict for row in self.rows for cell in row.cells.values())

    @property
    def unasked(self) -> tuple[Row, ...]:
        """The hosts that gave no answer."""
        return tuple(row for row in self.rows if row.reason)

    def reasons(self) -> dict[str, list[str]]:
        """Why hosts could not be asked → which."""
        told: dict[str, list[str]] = {}
        for row in self.unasked:
            told.setdefault(row.reason, []).append(row.host)
        return told

    def unseen(self) -> dict[str, list[str]]:
        """What could not be seen → on which hosts."""
        told: dict[str, list[str]] = {}
        for row in self.rows:
            for text in dict.fromkeys(text for cell in row.cells.values() for text in cell.unseen):
                told.setdefault(text, []).append(row.host)
        return told


def report(answers: Mapping[str, Document | None]) -> Report:
    """The matrix of what the hosts answered: registered results of check, preflight or verify."""
    order: dict[str, tuple[int, str, str]] = {}
    rows = [row(host, answer, order) for host, answer in answers.items()]
    columns = tuple(sorted(order, key=order.__getitem__))
    rows.sort(key=_by_severity)
    return Report(columns, tuple(rows), tuple(findings(rows, columns)))


def row(host: str, answer: Document | None, order: dict[str, tuple[int, str, str]]) -> Row:
    """One host's; adds its columns to `order`."""
    results = None if answer is None else _results(answer)
    if answer is None or results is None:
        return Row(host, {}, _reason(answer))
    cells: dict[str, Cell] = {}
    for result in results:
        column = _column(result)
        order[column] = (int(result["port"]), str(result["protocol"]), str(result.get("host") or ""))
        found = _cell(result)
        if column not in cells or VERDICTS.index(found.verdict) < VERDICTS.index(cells[column].verdict):
            cells[column] = found
    return Row(host, cells)


def _results(answer: Document) -> Sequence[Document] | None:
    """The results in a document; None where it has none."""
    if isinstance(answer.get("declared"), list):  # of verify
        return [_verified(each) for each in answer["declared"]]
    results = answer.get("results")
    return results if isinstance(results, list) and all("verdict" in result for result in results) else None


def _verified(declared: Document) -> Document:
    """A declared port of verify, as the result of a question."""
    faults = " ".join(str(fault["message"]) for fault in declared["faults"])
    found = declared["found"]
    return {
        **found,
        "service": declared["name"],
        "status": declared["status"],
        "message": faults or found["message"],
        "blind_spots": [] if declared["ok"] else found["blind_spots"],
    }


def _reason(answer: Document | None) -> str:
    if answer is None:
        return "it was not asked"
    return str(answer.get("msg") or "it gave no answer")


def _column(result: Document) -> str:
    host, port = result.get("host"), result["port"]
    place = f"[{host}]:{port}" if host and ":" in host else f"{host}:{port}" if host else str(port)
    return f"{place}/udp" if result["protocol"] == "udp" else place


def _cell(result: Document) -> Cell:
    status = str(result.get("status") or result["verdict"])
    verdict = STATUSES.get(status, status)
    unseen = tuple(
        f"{spot['message']} ({spot['remedy']})" if spot.get("remedy") else str(spot["message"])
        for spot in result.get("blind_spots") or ()
    )
    name = f"{result['service']}: " if result.get("service") else ""
    owners = dict.fromkeys(map(_called, result.get("owners") or ()))
    return Cell(
        verdict if verdict in VERDICTS else "unknown", ", ".join(owners), f"{name}{result.get('message') or ''}", unseen
    )


def _called(owner: Document) -> str:
    """The name that one would look for: of the container, the service, the program, the user."""
    container = owner.get("container") or {}
    return str(
        container.get("name")
        or owner.get("service")
        or owner.get("name")
        or (f"a process of {owner['user']}" if owner.get("user") else "nobody that can be seen")
    )


def _by_severity(each: Row) -> tuple[int, int, str]:
    number = sum(cell.verdict == each.worst for cell in each.cells.values())
    return VERDICTS.index(each.worst), -number, each.host


def findings(rows: Iterable[Row], columns: Sequence[str]) -> list[Finding]:
    """What is not free, told once for all hosts on which it is the same."""
    same: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for each in rows:
        for column, cell in each.cells.items():
            if cell.verdict not in GOOD:
                same.setdefault((column, cell.verdict, cell.owner), []).append((each.host, cell.message))
    place = {column: number for number, column in enumerate(columns)}
    found = [Finding(*key, tuple(hosts)) for key, hosts in same.items()]
    return sorted(found, key=lambda each: (VERDICTS.index(each.verdict), -len(each.hosts), place[each.column]))
