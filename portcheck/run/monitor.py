"""Watches a port while its command runs, and reports what it sees, each thing once."""

from __future__ import annotations

import os
import time

from portcheck.diagnosis import v6only
from portcheck.diagnosis.pipeline import checks
from portcheck.identify.describe import spread
from portcheck.listing import Filter, list_sockets
from portcheck.namedtuple import TYPE_CHECKING
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

PATIENCE = 2.0  # seconds until it is worth looking for another port that the command listens on; doubled each time


class Monitor:
    """What is known of one attempt: whether the command has ever listened, and whether it is ready."""

    def __init__(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> None:
        """`command` as the user wrote it, with `{port}` where the port is to be."""
        self.ready = False
        self.has_listened = False
        self._place = place
        self._command = command
        self._handed = place.listener is not None
        self._endpoint = Endpoint(str(place.port), "tcp", place.port)
        self._tell = tell
        self._told: set[str] = set()
        self._fingerprint: frozenset[object] = frozenset()
        self._start = time.monotonic()
        self._patience = PATIENCE

    def look(self) -> bool:
        """One look, which costs next to nothing where nothing has changed; True once the command is proven ready."""
        sockets = listening_or_bound([self._endpoint])
        listeners = fingerprint(socket for socket in sockets if socket.state == "LISTEN")
        late = time.monotonic() - self._start >= self._patience
        if late:
            self._patience *= 2
        if listeners != self._fingerprint or (late and listeners):
            self._fingerprint = listeners
            self._judge(patient=not late)
        if late and not self.ready:
            self._look_elsewhere()
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
        self._say(f"ready: {self._url(proof.address)}, {_named(proof.server.process)}{handed}")
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

    def _look_elsewhere(self) -> None:
        listing = list_sockets(Filter(("tcp",)))
        mine = _of_the_command(listing.processes)
        for name, sockets in _by_name(listing, mine).items():
            ports = ", ".join(sorted({str(socket.local_port) for socket in sockets}))
            if self._place.port not in {socket.local_port for socket in sockets}:
                self._say(f"{name} listens on port {ports} ({spread(sockets)}), not on {self._place.port}")
                self._say_how(listing, sockets)

    def _say_how(self, listing: Listing, sockets: Iterable[Socket]) -> None:
        """What gives the port to a server that does not heed PORT."""
        import shlex

        for socket in sockets:
            for process in filter(None, map(listing.processes.get, socket.pids or ())):
                words = remedy(self._command, process, socket.local_port)
                if words:
                    shown = shlex.join(words).replace("'{port}'", "{port}")  # which no Unix shell expands
                    self._say(f"it does not heed PORT here; try: ... -- {shown}")
                    return

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def _of_the_command(pids: Iterable[int | None]) -> set[int]:
    """The processes of the command: they descend from portcheck, which adopts the orphans among them."""
    return {pid for pid in pids if pid and descends(pid, os.getpid())}


def _named(process: Process) -> str:
    return f"{process.name or 'a process'} PID {process.pid}"


def _by_name(listing: Listing, pids: set[int]) -> dict[str, list[Socket]]:
    """The sockets that these processes listen on, by names such as `node PID 812`."""
    sockets: dict[str, list[Socket]] = {}
    for socket in listing:
        pid = next((pid for pid in socket.pids or () if pid in pids), None)
        if pid is not None:
            sockets.setdefault(_named(listing.processes[pid]), []).append(socket)
    return sockets
