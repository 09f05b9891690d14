"""The next free port of a candidate list.

Another program may take a port between picking and binding it: no check can close that gap.  There is none for a server
that binds port 0 itself and reports its number, or that takes over a bound socket (`portcheck run --listen`).
"""

from __future__ import annotations

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.probe import kernels_choice
from portcheck.observe.system import BACK_END
from portcheck.profiles import USUAL
from portcheck.target import EVERY, Endpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

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


class NoFreePort(PortcheckError):
    """Fewer candidates are free than were asked for; `diagnoses` holds every candidate looked at, in order."""

    def __init__(self, cause: str, diagnoses: Sequence[Diagnosis], remedy: str | None = None) -> None:
        super().__init__(cause, remedy)
        self.diagnoses = tuple(diagnoses)
        self.exit_code = exit_codes.of_pick(diagnosis.verdict for diagnosis in self.diagnoses)


def order(
    ports: Iterable[int], *, exclude: Collection[int] = (), random: bool = False, stable: str | None = None
) -> list[int]:
    """The candidates in the order in which they are tried, each once.

    The list's order is the user's.  `random` shuffles it and leaves out what browsers refuse; `stable` starts at
    a place that depends on the name alone, so that a project keeps its port as long as that is free.
    """
    candidates = [port for port in dict.fromkeys(ports) if port not in exclude]
    if random:
        from random import SystemRandom

        candidates = [port for port in candidates if port not in UNSAFE_IN_BROWSERS]
        SystemRandom().shuffle(candidates)
    if stable is not None and candidates:
        from zlib import crc32  # the same in every Python and on every machine, unlike hash()

        start = crc32(stable.encode("utf-8", "surrogateescape")) % len(candidates)
        candidates = candidates[start:] + candidates[:start]
    return candidates


def choose(
    candidates: Sequence[int],
    *,
    count: int = 1,
    protocol: Protocol = "tcp",
    hosts: tuple[Host, ...] = (EVERY,),
    family: Family | None = None,
    any_port: bool = False,
    exclude: Collection[int] = (),
    question: Question = USUAL,
) -> Choice:
    """The first `count` candidates that are free on every address asked for (`family`: of this family alone).

    With `any_port` the kernel chooses the ones that are missing.  Raises NoFreePort, which carries every diagnosis,
    where fewer are free.
    """
    question = question._replace(to_take=True)
    endpoints = [Endpoint(str(port), protocol, port, hosts, family) for port in candidates]
    free: list[int] = []
    looked_at: list[Diagnosis] = []
    looked_at.extend(_until(count, free, checks(endpoints, question)))
    if any_port and len(free) < count:
        others = _from_kernel(Endpoint("", protocol, 0, hosts, family), {*exclude, *candidates}, question)
        looked_at.extend(_until(count, free, others))
    if len(free) < count:
        raise NoFreePort(_too_few(count, free, looked_at), looked_at)
    rules = BACK_END.policy()
    return Choice(tuple(free), tuple(looked_at), tuple(note for port in free for note in notes(port, rules)))


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


def _until(count: int, free: list[int], diagnoses: Iterator[Diagnosis]) -> Iterator[Diagnosis]:
    """Diagnoses until `count` ports are free, which are added to `free`."""
    while len(free) < count and (diagnosis := next(diagnoses, None)):
        if diagnosis.verdict == "free":
            free.append(diagnosis.port)
        yield diagnosis


def _from_kernel(blank: Endpoint, exclude: Collection[int], question: Question) -> Iterator[Diagnosis]:
    """Ports that the kernel gives to a server that asks for port 0, each checked like any other candidate."""
    tried = set(exclude)
    for _ in range(KERNEL_ATTEMPTS):
        port = kernels_choice(blank.protocol)
        if port not in tried:
            tried.add(port)
            yield from checks([blank._replace(target=str(port), port=port)], question)


def _too_few(count: int, free: Sequence[int], looked_at: Sequence[Diagnosis]) -> str:
    if not looked_at:
        return "no candidate is left to try"
    if len(looked_at) == 1:
        return (
            f"only {free[0]} is free, and {count} are wanted"
            if free
            else f"the candidate {looked_at[0].port} is not free"
        )
    are, wanted = "is" if len(free) == 1 else "are", "is wanted" if count == 1 else "are wanted"
    return f"{len(free) or 'none'} of {len(looked_at)} candidates {are} free, and {count} {wanted}"
