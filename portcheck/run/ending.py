"""Ends everything that a command has started: SIGTERM, a pause, SIGKILL; and says what is left of it."""

from __future__ import annotations

import signal
import time

from portcheck.errors import PortcheckError
from portcheck.identify.describe import briefly, listed
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.run.tree import NOTHING, Left
from portcheck.stop.execute import AFTER_KILL, FIRST_PAUSE, SIGKILL
from portcheck.stop.terminate import end
from portcheck.waiting.loop import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from portcheck.model import Process
    from portcheck.run.tree import Tree

    class Command(Protocol):
        """The command whose tree is ended, as its only parent knows it."""

        pid: int
        tree: Tree
        has_ended: bool  # the command itself
        is_impatient: bool  # a signal has come since its tree is being ended

        def send(self, number: int) -> None:
            """Signals the command alone."""

        def rest(self, seconds: float) -> bool:
            """Waits so long, or until nothing is left: True where the kernel itself says so."""


COMMAND_FIRST = 5.0  # seconds that the command has to end its children itself
PATIENCE = 10.0  # seconds between SIGTERM to all and SIGKILL
WORD_AFTER = 3.0  # seconds until it is said who is waited for
# npm passes on the Ctrl-C that its child has had from the terminal already: the same once more is no impatience.
HURRY_AFTER = 1.0
ROUNDS = 20  # in which a tree that grows while it is being stopped has to stand still


def end_all(command: Command, tell: Callable[[str], None]) -> Left:
    """Ends the command, if it has not ended itself, and whatever descends from it.

    Returns as soon as all have ended, or when all patience is at an end.
    """
    ending = _Ending(command, tell)
    if ending.gently() or ending.by_force():
        return NOTHING
    members = command.tree.members()
    return Left(members, hidden=not members and not ending.is_over(members, 0))


class _Ending:
    def __init__(self, command: Command, tell: Callable[[str], None]) -> None:
        self._command = command
        self._tree = command.tree
        self._tell = tell
        self._begun = time.monotonic()
        self._asked: set[object] = set()
        self._refused: set[object] = set()

    def gently(self) -> bool:
        """Asks the command first, which knows how to end what it has started, then the others; whether all ended."""
        if not self._command.has_ended:
            self._ask_command()
        begun, is_told = time.monotonic(), False
        for pause in pauses():
            members = self._tree.members()
            self._ask(members)
            if self.is_over(members, pause):
                return True
            passed = time.monotonic() - begun
            if passed > PATIENCE or self._is_refused(members) or self._is_hurried():
                return False
            if passed > WORD_AFTER and not is_told:
                is_told = True
                self._tell(f"waiting for {listed(map(briefly, members))} to end; another signal kills at once")
        raise AssertionError("pauses() never ends")

    def _ask_command(self) -> None:
        if self._is_unseen():
            self._command.send(signal.SIGTERM)
        self._ask(process for process in self._tree.members() if process.pid == self._command.pid)
        for pause in pauses():
            is_late = time.monotonic() - self._begun > COMMAND_FIRST
            if self._command.rest(pause) or self._command.has_ended or is_late or self._is_hurried():
                return

    def _ask(self, processes: Iterable[Process]) -> None:
        """SIGTERM to each, once."""
        new = [process for process in processes if _identity(process) not in self._asked]
        self._asked.update(map(_identity, new))
        self._send(new, signal.SIGTERM)

    def _is_hurried(self) -> bool:
        return self._command.is_impatient and time.monotonic() - self._begun > HURRY_AFTER

    def by_force(self) -> bool:
        """Kills all that can be found, again and again; whether all have ended."""
        deadline = time.monotonic() + AFTER_KILL
        while time.monotonic() < deadline:
            if self._is_unseen():
                self._command.send(SIGKILL)
            members = self._standing_still()
            self._send(members, SIGKILL)
            if self.is_over(members, FIRST_PAUSE):
                return True
            if self._is_refused(members):
                return False
        return False

    def _standing_still(self) -> tuple[Process, ...]:
        """All of them, stopped: while some are killed the others would start more (a fork bomb)."""
        stopped: set[object] = set()
        members = self._tree.members()
        for _ in range(ROUNDS if hasattr(signal, "SIGSTOP") else 0):
            new = [process for process in members if _identity(process) not in stopped]
            if not new:
                break
            self._send((process for process in new if process.state != "T"), signal.SIGSTOP)
            stopped.update(map(_identity, new))
            members = self._tree.members()
        return members

    def _send(self, processes: Iterable[Process], number: int) -> None:
        for process in processes:
            try:
                end(process, number)
            except PortcheckError:  # it has ended, or is another user's
                self._refused.add(_identity(process))

    def is_over(self, members: tuple[Process, ...], pause: float) -> bool:
        """Whether nothing is left; waits for that."""
        nobody_left = not members and not self._tree.adopts and self._command.has_ended
        return nobody_left or self._command.rest(pause)

    def _is_refused(self, members: tuple[Process, ...]) -> bool:
        """Whether none of those that are left may be signalled."""
        return bool(members) and all(_identity(process) in self._refused for process in members)

    def _is_unseen(self) -> bool:
        """The command is our child whether or not /proc shows it."""
        return not self._command.has_ended and all(self._command.pid != each.pid for each in self._tree.members())


def _identity(process: Process) -> object:
    return process.pid, process.start_ticks, process.started_at if process.start_ticks is None else None
