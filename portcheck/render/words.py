"""The small phrases that both faces are made of.  What is returned has been through `escape.visible`."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.ourselves import as_called
from portcheck.render.escape import visible
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.chooser import PortNote
    from portcheck.model import Bind, BlindSpot, Diagnosis, Note, Process, Socket

NAME_WIDTH = 40
MEANT_BY = {"tcp": "--tcp", "udp": "--udp", "all": "--all", "mine": "--mine"}  # in the place of a program's name
# Characters that no shell needs quotes for.  Most advice consists of them alone, and importing shlex (with re) takes
# two thirds of the time of `python3 -c pass`.
UNQUOTED = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@+:,./_-")
UNQUOTED_ON_WINDOWS = (UNQUOTED | {"="}) - {",", "@"}  # which PowerShell takes for arrays and splatting


def shortened(text: str, width: int | None) -> str:
    """Visible, and cut after `width` characters; None takes all."""
    if width is None or len(text) <= width:
        return visible(text)
    return visible(text[: width - 1]) + "…"


def listed(items: Sequence[str], shown: int | None) -> str:
    """`382, 390 and 7 more`; None shows all."""
    if shown is None or len(items) <= shown + 1:
        return ", ".join(items)
    return f"{', '.join(items[:shown])} and {len(items) - shown} more"


def user(of: Process | Socket) -> str | None:
    """The user's name, or `uid 1000` where that has none here."""
    if of.user:
        return shortened(of.user, NAME_WIDTH)
    return None if of.uid is None else f"uid {of.uid}"


def age(seconds: float) -> str:
    """`45 s`, `12 min`, `5 h`, `3 d`: how long something has been running; nothing for what is no time."""
    if not abs(seconds) < 1e12:  # as the clock of a broken host may have it; nor is NaN
        return ""
    for unit, length, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 48)):
        if seconds < most * length:
            return f"{max(0, int(seconds // length))} {unit}"
    return f"{int(seconds // 86400)} d"


def target(diagnosis: Diagnosis, last: int | None = None) -> str:
    """A port as one would ask for it, or neighbours: `3000`, `53/udp`, `127.0.0.1:8000-8010`."""
    ports = str(diagnosis.port) if last in (None, diagnosis.port) else f"{diagnosis.port}-{last}"
    kind = "/udp" if diagnosis.protocol == "udp" else ""
    host = diagnosis.host
    if not host or "," in host:
        return ports + kind
    return visible(f"[{host}]:{ports}{kind}" if ":" in host else f"{host}:{ports}{kind}")


def address(bind: Bind) -> str:
    """`0.0.0.0`, `:: (IPv6 only)`, `:: (dual-stack)`, `fe80::1%eth0`."""
    wildcard = bind.address == "::"
    kind = {True: " (IPv6 only)", False: " (dual-stack)", None: ""}[bind.v6only] if wildcard else ""
    return visible(bind.address) + kind


def identity(process: Process) -> str:
    """What it is beyond its name, in one line: role, service, container, session, project, condition."""
    from portcheck.identify.describe import CONDITIONS, container

    where = process.project_dir or process.cwd
    parts = [
        process.role,
        process.service and f"service {process.service}",
        process.activation and f"activated by {process.activation}",
        process.container and container(process.container),
        process.project and f"project {process.project}",
        where and where != "/" and where[1:] != ":\\" and f"in {where}",
        process.task and f"started by {process.task}",
        process.session,
        process.supervisor and f"kept running by {process.supervisor}",
        process.started_by and f"child of {process.started_by}",
        process.forwards and f"forwards to {process.forwards}",
        *map(CONDITIONS.__getitem__, process.condition),
    ]
    return visible("; ".join(part for part in parts if part))


def remarks(diagnosis: Diagnosis, *, verbose: bool) -> Iterator[str]:
    """Whatever else is true: notes, what was not seen, and (if `verbose`) further sockets."""
    yield from map(noted, diagnosis.notes)
    yield from unseen(diagnosis.blind_spots)
    if verbose and diagnosis.connections:
        more = (f"{count} {visible(state)}" for state, count in diagnosis.connections.items())
        yield f"more sockets of this port: {', '.join(more)}"


def noted(note: Note | PortNote) -> str:
    """A note on its own line."""
    return f"note: {visible(note.message)}"


def nothing_listed(words: Sequence[str], programs: Sequence[str]) -> str:
    """What `list` says where it lists nothing, though it was asked for these ports or programs."""
    if programs:
        meant = MEANT_BY.get(" ".join(programs))
        return f"no program called {visible(' or '.join(programs))} listens here" + (
            f"; did you mean: portcheck list {meant}" if meant else ""
        )
    return f"nothing listens on {visible(', '.join(words))}" if words else "nothing that was asked for listens here"


def unseen(spots: Iterable[BlindSpot]) -> Iterator[str]:
    """Blind spots, each once: on stderr for `list` and `pick`, below the answer for `check` and `preflight`."""
    return map(_unseen, dict.fromkeys(spots))


def _unseen(spot: BlindSpot) -> str:
    """What could not be seen, and what would let it be seen."""
    return f"not seen: {visible(spot.message)}" + (f" → {visible(spot.remedy)}" if spot.remedy else "")


def quoted(command: Sequence[str], *, windows: bool = not HERE.has_posix_shell) -> str:
    """As it can be pasted into a POSIX shell, on Windows into cmd or PowerShell; our own as we were called."""
    command = as_called(command)
    if windows:
        return visible(" ".join(map(_quoted_for_windows, command)))
    if all(map(_is_plain, command)):
        return " ".join(command)
    from shlex import join

    return visible(join(command))


def _is_plain(word: str) -> bool:
    return bool(word) and UNQUOTED.issuperset(word)


def _quoted_for_windows(word: str) -> str:
    """Both shells take double quotes; where PowerShell would replace $ or ` (MSSQL$SQLEXPRESS), it gets single ones.

    No path or service there has a double quote in its name.
    """
    if word and UNQUOTED_ON_WINDOWS.issuperset(word):
        return word
    if "$" in word or "`" in word:
        return "'" + word.replace("'", "''") + "'"
    return f'"{word}"'
