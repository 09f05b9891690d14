"""portcheck run CANDIDATE... -- CMD: pick, hand over, start, prove that CMD is the one listening."""

from __future__ import annotations

import os
import sys
import time

from portcheck import exit_codes
from portcheck.chooser import NoFreePort, order
from portcheck.errors import UsageError
from portcheck.leases.book import Book
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.render import stream
from portcheck.render.pick import skipped, skipped_drawn
from portcheck.render.run import HANDED_OVER, HIDDEN, NEVER_LISTENED, left_over, not_ready, patience, still_held, taken
from portcheck.reservation import one_address
from portcheck.run.attempt import CHILDREN, attempt
from portcheck.run.choose_port import Wish, take
from portcheck.run.handover import caveat
from portcheck.run.launch import Launch, with_port
from portcheck.run.monitor import Monitor, Voice
from portcheck.run.port_file import PortFile
from portcheck.target import EVERY, Endpoint, of_family, parse_host, parse_ports
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portcheck.model import Diagnosis
    from portcheck.render.layout import Mark
    from portcheck.requests import RunRequest
    from portcheck.run.attempt import Ending
    from portcheck.run.choose_port import Place


def run(request: RunRequest) -> int:
    """Runs the command; raises PortcheckError for what fails before it starts.

    Returns the command's exit code, and not at all where it died of a signal: then portcheck dies of it too.
    """
    _refuse(request)
    runner = _Runner(request)
    with runner.file, runner.leases:
        ending = runner.attempts()
    return runner.end(ending)


def _refuse(request: RunRequest) -> None:
    if not request.env or "=" in request.env:
        raise UsageError(f"'{request.env}' is no name for an environment variable")
    if request.listen and not HERE.forks:
        raise UsageError("--listen hands over a file descriptor, which Windows does not have")


class _Runner:
    """All attempts of one command line."""

    def __init__(self, request: RunRequest) -> None:
        names = SystemNames()
        named = "::1" if request.everywhere and request.family == "ipv6" else request.host
        (host,) = of_family([parse_host(named, names)], request.family)
        self._request = request
        # Held to the end: what is slow to start, an installation first, must not lose its port meanwhile.
        self.leases = Book(request.lease, held=True)
        self._wish = Wish(
            hosts=(EVERY,) if request.everywhere else (host,),
            address=one_address(host),
            host=named,
            family=request.family,
            question=question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe),
            leases=self.leases,
            listen=request.listen,
        )
        ports = [port for text in request.candidates for port in parse_ports(text, names)]
        self._left = order(Endpoint(str(port), "tcp", port, self._wish.hosts, request.family) for port in ports)
        if request.strict:
            del self._left[1:]
        self.file = PortFile(request.port_file)

    def attempts(self) -> Ending:
        """The last attempt.  Raises NoFreePort or CannotStart before the first."""
        ending = self._attempt()
        for _ in range(self._request.retries):
            if not ending.may_be_repeated:
                break
            try:
                ending = self._attempt()
            except NoFreePort as error:
                self._complain(error.cause)
                break
        return ending

    def _attempt(self) -> Ending:
        request = self._request
        place = self._take()
        if not request.wait_ready:
            self._announce(place.port)
        monitor = Monitor(place, request.command, Voice(self._cheer, self._tell, self._patience(place.port)))
        ending = attempt(
            self._launch(place),
            monitor,
            self._tell,
            until_ready=request.timeout if request.wait_ready else None,
        )
        if ending.how == "ready":
            self._announce(place.port)
            self.file.keep = True
        if ending.taken_by:
            self._complain(taken(ending.taken_by))
        elif ending.failed_at_once and place.listener:
            self._tell(HANDED_OVER)
        if ending.how == "timeout":
            self._complain(not_ready(request.timeout, monitor.elsewhere, is_ended=not ending.left))
        self._tell_of_the_rest(ending)
        return ending

    def _tell_of_the_rest(self, ending: Ending) -> None:
        for line in left_over(ending.left.processes, time.time()):
            self._complain(line)
        if ending.left.hidden:
            self._complain(HIDDEN)
        if ending.still_held:
            self._complain(still_held(ending.still_held))

    def _patience(self, port: int) -> Callable[[], None] | None:
        """A line of its own, said once: the command writes to this terminal too, and would tear a rewritten one."""
        request = self._request
        text = patience(request.command, port, request.timeout)
        wanted = request.wait_ready and stream.is_terminal(sys.stderr)
        return (lambda: self._say(text, None)) if wanted else None

    def _take(self) -> Place:
        try:
            place = take(self._left, self._wish)
        except NoFreePort as error:
            self._tell_skipped(error.diagnoses)
            raise
        self._tell_skipped(place.skipped)
        self._left = self._left[[one.port for one in self._left].index(place.port) + 1 :]
        return place

    def _launch(self, place: Place) -> Launch:
        request = self._request
        command = with_port(request.command, place.port, place.host)
        if place.listener and (warning := caveat(command)):
            self._tell(warning)
        return Launch(
            command,
            {**os.environ, request.env: str(place.port)},
            place.listener,
            detached=request.wait_ready,
            stdout_to_stderr=request.wait_ready and request.print_port,
        )

    def _announce(self, port: int) -> None:
        """For scripts: the port as data."""
        if self._request.print_port:
            stream.write([str(port)])
        self.file.write(port)

    def end(self, ending: Ending) -> int:
        """The exit code; does not return where the command died of a signal."""
        if ending.how == "timeout":
            return exit_codes.TIME_IS_UP
        if ending.how == "ended" and self._request.wait_ready and ending.code == 0:
            self._complain(NEVER_LISTENED)
            return exit_codes.NOT_STARTED
        return CHILDREN.end_as(ending.code)

    def _cheer(self, text: str) -> None:
        self._say(text, "good")

    def _tell(self, text: str) -> None:
        self._say(text, "doubtful")

    def _complain(self, text: str) -> None:
        self._say(text, "bad")

    def _say(self, text: str, mark: Mark | None) -> None:
        if not self._request.quiet:
            stream.complain(text, color=self._request.color, mark=mark)

    def _tell_skipped(self, diagnoses: Sequence[Diagnosis]) -> None:
        if not self._request.quiet:
            stream.say(
                skipped(diagnoses),
                sys.stderr,
                self._request.color,
                lambda canvas: skipped_drawn(diagnoses, canvas),
            )
