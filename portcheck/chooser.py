"""The next free port of a candidate list.

Another program may take a port between picking and binding it: no check can close that gap.  There is none for a server
that binds port 0 itself and reports its number, or that takes over a bound socket (`portcheck run --listen`).  Other
portchecks keep away from it meanwhile (`leases/`).
"""

from __future__ import annotations

import errno
import time

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import PortcheckError
from portcheck.model import Note
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.probe import kernels_choice
from portcheck.observe.system import BACK_END
from portcheck.profiles import USUAL
from portcheck.target import EVERY, Endpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from portcheck.leases.book import Book, Lease
    from portcheck.model import Diagnosis, Family, NoteCode, PortPolicy, Protocol
    from portcheck.profiles import Question
    from portcheck.target import Host


# The Fetch standard's bad ports: browsers refuse to connect to them (https://fetch.spec.whatwg.org/#port-blocking).
UNSAFE_IN_BROWSERS = frozenset(
    (1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
     110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
     531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
     5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080)
)  # fmt: skip
KERNEL_ATTEMPTS = 50
LEASED = "it is free for you with --lease 0 (from Python: lease=0), or when its time is over"
NOT_LEASED = "another portcheck may hand it out too: leases cannot be kept here"


class PortNote(NamedTuple):
    """What a user should know of a port that was chosen all the same, because the list's order is theirs."""

    code: NoteCode
    message: str
    port: int


class Choice(NamedTuple):
    """The ports that were chosen, every candidate that was looked at, in order, and notes on those chosen."""

    ports: tuple[int, ...]
    diagnoses: tuple[Diagnosis, ...]
    notes: tuple[PortNote, ...] = ()
    leased_until: float | None = None  # seconds since the epoch: until then no other portcheck hands them out


class Selection(NamedTuple):
    """What kind of ports are wanted of the candidates."""

    how_many: int = 1
    block: bool = False  # neighbours: 8000, 8001, 8002
    any_port: bool = False  # the kernel chooses the ones that are missing
    exclude: Collection[int] = ()


ONE = Selection()


class NoFreePort(PortcheckError):
    """Fewer candidates are free than were asked for; `diagnoses` holds every candidate looked at, in order."""

    def __init__(self, cause: str, diagnoses: Sequence[Diagnosis], remedy: str | None = None) -> None:
        super().__init__(cause, remedy)
        self.diagnoses = tuple(diagnoses)
        self.exit_code = exit_codes.of_pick(diagnosis.verdict for diagnosis in self.diagnoses)


def order(
    candidates: Iterable[Endpoint], *, exclude: Collection[int] = (), random: bool = False, stable: str | None = None
) -> list[Endpoint]:
    """The candidates in the order in which they are tried, each once.

    The list's order is the user's.  `random` shuffles it and leaves out what browsers refuse; `stable` starts at
    a place that depends on the name alone, so that a project keeps its port as long as that is free.
    """
    each = {(one.protocol, one.port, one.hosts): one for one in reversed([*candidates]) if one.port not in exclude}
    ordered = [*reversed(each.values())]
    if random:
        from random import SystemRandom

        ordered = [one for one in ordered if one.port not in UNSAFE_IN_BROWSERS]
        SystemRandom().shuffle(ordered)
    if stable is not None and ordered:
        from zlib import crc32  # the same in every Python and on every machine, unlike hash()

        start = crc32(stable.encode("utf-8", "surrogateescape")) % len(ordered)
        ordered = ordered[start:] + ordered[:start]
    return ordered


def choose(
    candidates: Sequence[Endpoint],
    wanted: Selection = ONE,
    *,
    protocols: tuple[Protocol, ...] = (),
    hosts: tuple[Host, ...] = (EVERY,),
    family: Family | None = None,
    question: Question = USUAL,
    leases: Book,
) -> Choice:
    """The first candidates that are free on every address asked for, and that no other portcheck has handed out.

    A number has to be free in every one of `protocols` (of each candidate's own, where none is named); `protocols` and
    `hosts` are those of a port that the kernel chooses, too.  Raises NoFreePort, which carries every diagnosis, where
    fewer are free.
    """
    question = question._replace(to_take=True)
    search = _Search(wanted, leases)
    groups = [tuple(one._replace(protocol=each) for each in protocols or (one.protocol,)) for one in candidates]
    search.among(_together(groups, question))
    refused = None
    if wanted.any_port and search.missing:
        excluded = {*wanted.exclude, *(one.port for one in candidates)}
        blanks = [Endpoint("", each, 0, hosts, family) for each in protocols or ("tcp",)]
        try:
            search.among(_from_kernel(blanks, excluded, question))
        except OSError as error:
            refused = error
    if search.missing:
        raise _too_few(search, refused)
    rules = BACK_END.policy()
    remarks = [note for port in search.chosen for note in notes(port, rules)]
    if not leases.is_kept:
        remarks.append(PortNote("not-leased", NOT_LEASED, search.chosen[-1]))
    return Choice(tuple(search.chosen), tuple(search.looked_at), tuple(remarks), leases.until)


class _Search:
    """Takes candidates as they come, until there are as many as are wanted."""

    def __init__(self, wanted: Selection, leases: Book) -> None:
        self.wanted = wanted
        self._leases = leases
        self._free = _Runs()
        self.chosen: list[int] = []
        self.looked_at: list[Diagnosis] = []
        self.someone_elses = 0

    @property
    def missing(self) -> int:
        return self.wanted.how_many - len(self.chosen)

    @property
    def leases_are_in_the_way(self) -> bool:
        """Without others' leases there would be enough."""
        free = {one.port for one in self.looked_at if one.verdict == "free"}
        free -= {one.port for one in self.looked_at if one.verdict != "free"}
        if not self.wanted.block:
            return bool(self.someone_elses) and len(free) >= self.wanted.how_many
        runs = _Runs()
        return any(runs.with_neighbours(port, self.wanted.how_many) for port in free)

    def among(self, candidates: Iterator[tuple[Diagnosis, ...]]) -> None:
        """`candidates`: the diagnoses of one number each."""
        while self.missing and (diagnoses := next(candidates, None)):
            port = diagnoses[0].port
            leased = all(each.verdict == "free" for each in diagnoses) and self._take(port, diagnoses)
            if leased:
                self.someone_elses += 1
                diagnoses = (with_lease(diagnoses[0], leased), *diagnoses[1:])
            self.looked_at.extend(diagnoses)

    def _take(self, port: int, diagnoses: tuple[Diagnosis, ...]) -> Lease | None:
        """Takes a port that is free, with the neighbours that it completes; or whose it is."""
        if port in self.chosen:
            return None
        block: tuple[int, ...] = (port,)
        if self.wanted.block:
            for diagnosis in diagnoses:
                if lease := self._leases.whose(diagnosis.protocol, port):
                    return lease
            block = self._free.with_neighbours(port, self.wanted.how_many)
        taken: list[tuple[Protocol, int]] = []
        for each in ((diagnosis.protocol, number) for number in block for diagnosis in diagnoses):
            if lease := self._leases.claim(*each):
                self._free.remove(each[1])
                self._leases.give_back(taken)
                return lease
            taken.append(each)
        self.chosen.extend(block)
        return None


class _Runs:
    """Neighbouring ports that are free."""

    def __init__(self) -> None:
        self._ports: set[int] = set()

    def with_neighbours(self, port: int, count: int) -> tuple[int, ...]:
        """`count` neighbours that are free, of which this one is the last found; () as long as there are none."""
        self._ports.add(port)
        first = last = port
        while first - 1 in self._ports and port - first < count - 1:
            first -= 1
        while last + 1 in self._ports and last - first < count - 1:
            last += 1
        return tuple(range(first, first + count)) if last - first >= count - 1 else ()

    def remove(self, port: int) -> None:
        """It is somebody else's after all."""
        self._ports.discard(port)


def notes(port: int, rules: PortPolicy) -> Iterator[PortNote]:
    """Why another port would be the better choice."""
    if any(port in reserved for reserved in rules.reserved):
        message = f"{port} is reserved on this host (ip_local_reserved_ports)"
        yield PortNote("reserved-from-ephemeral", message, port)
    elif rules.ephemeral and port in rules.ephemeral:
        low, high = rules.ephemeral
        message = f"{port} lies in the ephemeral range ({low}-{high}): an outgoing connection may take it"
        yield PortNote("ephemeral-range", message, port)
    if port in UNSAFE_IN_BROWSERS:
        message = f"browsers refuse to connect to {port} (it is one of the Fetch standard's bad ports)"
        yield PortNote("unsafe-in-browsers", message, port)


def _together(groups: Iterable[tuple[Endpoint, ...]], question: Question) -> Iterator[tuple[Diagnosis, ...]]:
    """The diagnoses of each group, from one look at the host."""
    groups = [*groups]
    diagnoses = checks([endpoint for group in groups for endpoint in group], question)
    for group in groups:
        yield tuple(next(diagnoses) for _ in group)


def _from_kernel(
    blanks: Sequence[Endpoint], exclude: Collection[int], question: Question
) -> Iterator[tuple[Diagnosis, ...]]:
    """Ports that the kernel gives to a server that asks for port 0, each checked like any other candidate.

    `blanks` are the questions without a port.  Raises OSError where it gives none.
    """
    tried = set(exclude)
    for _ in range(KERNEL_ATTEMPTS):
        port = kernels_choice(blanks[0].protocol)
        if port not in tried:
            tried.add(port)
            yield from _together([tuple(each._replace(target=str(port), port=port) for each in blanks)], question)


def with_lease(diagnosis: Diagnosis, lease: Lease) -> Diagnosis:
    """The answer for a port that is free, and somebody else's for now."""
    whose = "another portcheck" if lease.pid is None else f"another portcheck (PID {lease.pid})"
    left = max(0, round(lease.ends - time.time()))
    until = f"keeps it for {left} s more" if left else "still keeps it"
    message = f"handed out by {whose}, which {until}"
    return diagnosis._replace(notes=(*diagnosis.notes, Note("leased", message)))


def _too_few(search: _Search, refused: OSError | None) -> NoFreePort:
    remedy = LEASED if search.leases_are_in_the_way else None
    if refused:
        reason = f"the kernel hands out no port: {refused.strerror} ({errno.errorcode.get(refused.errno or 0)})"
        return NoFreePort(reason, search.looked_at, remedy)
    return NoFreePort(_cause(search), search.looked_at, remedy)


def _cause(search: _Search) -> str:
    free, looked_at, count = search.chosen, {one.port for one in search.looked_at}, search.wanted.how_many
    if not looked_at:
        return "no candidate is left to try"
    if search.wanted.block:
        return f"no {count} neighbours of {len(looked_at)} candidates are free"
    if len(looked_at) == 1:
        only = search.looked_at[0].port
        if free:
            return f"only {only} is free, and {count} are wanted"
        return f"the candidate {only} is {'handed out already' if search.someone_elses else 'not free'}"
    are, wanted = "is" if len(free) == 1 else "are", "is wanted" if count == 1 else "are wanted"
    return f"{len(free) or 'none'} of {len(looked_at)} candidates {are} free, and {count} {wanted}"
