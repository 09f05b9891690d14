"""The face for pipes, logs and `--plain`: lines without boxes or colour, each of which says what it is.

Port 3000 is in use: node (PID 812, bo, since 09:00) listens on 127.0.0.1; the other addresses are free ...
  owner: node (PID 812, bo, since 2026-11-20 09:00): node server.js [in /home/bo/shop]
  in-use on 0.0.0.0, :: (dual-stack), 127.0.0.1: node (PID 812)
  free on :: (IPv6 only), ::1, 192.0.2.7
  → Stop it where it runs with Ctrl-C, or end it.
      kill 812
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portcheck.model import Advice, Diagnosis, Process, Socket
    from portcheck.render.binds import BindLine
    from portcheck.render.owners import OwnerLine

# Widths that fit most rows, so that no row has to wait for later ones; a wider cell shifts its own row only.
# (In the old way of formatting, which takes half the time; `%.0s` shows nothing of its value.)
COLUMNS = "%-5s %-15s %5s %-11s %7s %-15s %-10s %.0s%s"
WITH_REMOTE = "%-5s %-15s %5s %-11s %7s %-15s %-10s %-21s %s"


def check(diagnosis: Diagnosis, *, verbose: bool = False) -> Iterator[str]:
    """The lines for one port: the message, then what it leaves out."""
    yield visible(diagnosis.message)
    if verbose or says_more(diagnosis):
        yield from _details(diagnosis, verbose=verbose)


def says_more(diagnosis: Diagnosis) -> bool:
    """Whether there are details, which take a moment to import the words for."""
    details = (diagnosis.sockets, diagnosis.notes, diagnosis.blind_spots, diagnosis.advice)
    return diagnosis.verdict != "free" or any(details)


def _details(diagnosis: Diagnosis, *, verbose: bool) -> Iterator[str]:
    from portcheck.render.binds import answer_lines, bind_lines
    from portcheck.render.owners import owner_lines
    from portcheck.render.words import remarks

    owners, more = owner_lines(diagnosis, verbose=verbose)
    yield from map(_owner, owners)
    if more:
        yield f"  and {more} more owners (-v shows all)"
    yield from map(_bind, bind_lines(diagnosis, verbose=verbose))
    for addresses, who in answer_lines(diagnosis, verbose=verbose):
        yield f"  clients of {addresses} reach {who}"
    for remark in remarks(diagnosis, verbose=verbose):
        yield f"  {remark}"
    for advice in diagnosis.advice:
        yield from advice_lines(advice)


def _owner(line: OwnerLine) -> str:
    pids = f"PID {line.pids}" if line.pids else "PID not visible"
    known_by = ", ".join(filter(None, (pids, line.user, line.since and f"since {line.since}")))
    command = f": {line.command}" if line.command else ""
    identity = f" [{line.identity}]" if line.identity else ""
    return f"  owner: {line.name} ({known_by}){command}{identity}"


def _bind(line: BindLine) -> str:
    by = f": {line.by}" if line.by else ""
    how = f" [{line.how}]" if line.how else ""
    return f"  {line.outcome} on {line.addresses}{by}{how}"


def advice_lines(advice: Advice) -> Iterator[str]:
    """One remedy, and its command as a shell takes it."""
    yield f"  → {visible(advice.text)}"
    if advice.command:
        from portcheck.render.words import quoted

        yield f"      {quoted(advice.command)}"


def listing(sockets: Iterable[Socket], processes: Mapping[int, Process], *, remote: bool = False) -> Iterator[str]:
    r"""A heading, and a line for each socket; `remote` adds the other ends, for `list --all`.

    Every column but the last is one word: a space in a name is `\x20`, as lsof writes it.  `?` stands for
    what cannot be seen, `-` for what is not there.
    """
    from portcheck.render.table import Listed, rows

    line = WITH_REMOTE if remote else COLUMNS
    yield line % tuple(map(str.upper, Listed._fields))
    for row in rows(sockets, processes):
        name, user = row.name.replace(" ", r"\x20"), row.user.replace(" ", r"\x20")
        yield (line % (*row[:5], name, user, *row[7:])).rstrip()


def pids(sockets: Iterable[Socket]) -> Iterator[str]:
    """Each PID that holds one of the sockets, once, in order: what a script kills or inspects."""
    once = dict.fromkeys(pid for socket in sockets for pid in socket.pids or ())
    return map(str, once)
