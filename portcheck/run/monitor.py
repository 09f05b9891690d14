"""Watches a port while its command runs, and reports what it sees, each thing once."""

from __future__ import annotations

import os
import time

from portcheck.diagnosis import v6only
from portcheck.diagnosis.pipeline import checks
from portcheck.identify.describe import program
from portcheck.listing import Filter, list_sockets
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.snapshot import fingerprint, listening_or_bound
from portcheck.observe.system import descends
from portcheck.profiles import TABLES_ALONE
from portcheck.run.dev_servers import remedy
from portcheck.run.proof import Proof, prove
from portcheck.target import Endpoint
from portcheck.traits import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from portcheck.listing import Listing
    from portcheck.model import Diagnosis, Process, Socket
    from portcheck.run.choose_port import Place

WORD_AFTER = 1.0  # seconds until it is said that portcheck waits
PATIENCE = 2.0  # seconds until it is worth looking for another port that the command listens on; doubled each time


class Elsewhere(NamedTuple):
    """The command listens, on another port than it was given."""

    where: str  # "vite listens on 5174, not on 3000"
    remedy: str  # a sentence, where the server is one that we know


class Voice(NamedTuple):
    """What says a line to the user."""

    cheer: Callable[[str], None]  # good news
    tell: Callable[[str], None]
    ask_for_patience: Callable[[], None] | None = None  # where somebody waits for the command to be ready


class Monitor:
    """What is known of one attempt: whether the command has ever listened, and whether it is ready."""

    def __init__(self, place: Place, command: Sequence[str], voice: Voice) -> None:
        """`command` as the user wrote it, with `{port}` where the port is to be."""
        self.ready = False
        self.elsewhere: Elsewhere | None = None
        self.has_listened = False
        self._place = place
        self._command = command
        self._handed = place.listener is not None
        self._endpoint = Endpoint(str(place.port), "tcp", place.port)
        self._cheer, self._tell, self._ask_for_patience = voice
        self._told: set[str] = set()
        self._fingerprint: frozenset[object] = frozenset()
        self._start = time.monotonic()
        self._patience = PATIENCE

    def look(self) -> bool:
        """One look, which costs next to nothing where nothing has changed; True once the command is proven ready."""
        sockets = listening_or_bound([self._endpoint])
        listeners = fingerprint(socket for socket in sockets if socket.state == "LISTEN")
        seconds = time.monotonic() - self._start
        late = seconds >= self._patience
        if late:
            self._patience *= 2
        if listeners != self._fingerprint or (late and listeners):
            self._fingerprint = listeners
            self._judge(patient=not late)
        if not self.ready and self._ask_for_patience and seconds >= WORD_AFTER:
            self._ask_for_patience()
            self._ask_for_patience = None
        if late and not self.ready:
            self.look_elsewhere()
            self._say_elsewhere()
        return self.ready

    def taken_by(self) -> Diagnosis | None:
        """After the command's end: the answer for the port, if only strangers have ever listened there."""
        self._judge(patient=True)  # it may have left a daemon that listens
        diagnosis = next(checks([self._endpoint]))
        mine = _of_the_command(owner.pid for owner in diagnosis.owners)
        is_taken = diagnosis.verdict == "in-use" and diagnosis.owners and not mine
        return diagnosis if is_taken and not self.has_listened else None

    def still_held(self) -> Diagnosis | None:
        """After all that the command started was to end: the answer for the port, if a process still has it."""
        diagnosis = next(checks([self._endpoint])) if listening_or_bound([self._endpoint]) else None
        return diagnosis if diagnosis and diagnosis.verdict == "in-use" else None

    def _judge(self, *, patient: bool) -> None:
        proof = self._proof()
        if proof.server is None:
            if not patient:
                self._say_not_ours(proof)
            return
        self.has_listened = True
        if proof.address is None:
            where = f"it listens on {proof.places}, port {self._place.port}"
            self._say(where if proof.strangers else f"{where}, not on {self._place.host}")
            self._say_not_ours(proof)
            return
        self.ready = True
        handed = ", which was handed the listening socket as fd 3" if self._handed else ""
        named = f"{proof.server.process.name or 'a process'} PID {proof.server.process.pid}"
        self._say(f"ready: {self._url(proof.address)}, {named}{handed}", self._cheer)
        for stranger in proof.strangers:
            self._say(f"but {stranger}, and is not this command's")

    def _proof(self) -> Proof:
        diagnosis = next(checks([self._endpoint], TABLES_ALONE))
        if v6only.hidden(diagnosis.sockets, PLATFORM):
            diagnosis = next(checks([self._endpoint]))  # whether IPv4 clients reach it only a bind tells
        mine = _of_the_command(owner.pid for owner in diagnosis.owners)
        address = self._place.address
        return prove(diagnosis, mine, address, PLATFORM, time.time())

    def _url(self, address: str) -> str:
        host = self._place.host if self._place.address == address else address
        return f"http://{f'[{host}]' if ':' in host else host}:{self._place.port}"

    def _say_not_ours(self, proof: Proof) -> None:
        for stranger in proof.strangers:
            self._say(f"port {self._place.port}: {stranger}, and is not this command's")
        if proof.hidden:
            self._say(
                f"somebody listens on port {self._place.port} whose process cannot be seen from here:"
                " whether it is this command cannot be proven"
            )

    def look_elsewhere(self) -> None:
        """Which other port the command listens on, if it listens."""
        listing = list_sockets(Filter(("tcp",)))
        mine = _of_the_command(listing.processes)
        for process, sockets in _by_process(listing, mine):
            ports = sorted({socket.local_port for socket in sockets})
            if self._place.port not in ports:
                where = f"{program(process)} listens on {', '.join(map(str, ports))}, not on {self._place.port}"
                self.elsewhere = Elsewhere(where, self._remedy(process, ports))
                return

    def _remedy(self, process: Process, ports: Iterable[int]) -> str:
        """What gives the port to a server that does not heed PORT."""
        import shlex

        for words in filter(None, (remedy(self._command, process, port) for port in ports)):
            shown = shlex.join(words).replace("'{port}'", "{port}")  # which no Unix shell expands
            return f"It ignores PORT; try: ... -- {shown}"
        return ""

    def _say_elsewhere(self) -> None:
        if self.elsewhere:
            self._say(". ".join(filter(None, self.elsewhere)))

    def _say(self, text: str, by: Callable[[str], None] | None = None) -> None:
        if text not in self._told:
            self._told.add(text)
            (by or self._tell)(text)


def _of_the_command(pids: Iterable[int | None]) -> set[int]:
    """The processes of the command: they descend from portcheck, which adopts the orphans among them."""
    return {pid for pid in pids if pid and descends(pid, os.getpid())}


def _by_process(listing: Listing, pids: set[int]) -> list[tuple[Process, list[Socket]]]:
    """The sockets that these processes listen on."""
    sockets: dict[int, list[Socket]] = {}
    for socket in listing:
        pid = next((pid for pid in socket.pids or () if pid in pids), None)
        if pid is not None:
            sockets.setdefault(pid, []).append(socket)
    return [(listing.processes[pid], held) for pid, held in sockets.items()]
