"""Asks supervisors for the names that they have for what they keep running: each once, and within a time limit."""

from __future__ import annotations

import os

from portcheck.identify.keepers import Inquiry, inquiries, monit_file, named_back, of_monit, starting, with_pids
from portcheck.identify.managers import as_keeper, below, keeper_of, keeper_unknown, unkept, with_keeper, with_monit
from portcheck.identify.names import base
from portcheck.lean_functools import partial
from portcheck.model import AS_ROOT, BlindSpot, Hands
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences
from portcheck.observe.system import BACK_END, own_uid, process_now
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.managers import Subject
    from portcheck.model import Process
    from portcheck.observe.subprocesses import Patience

MONIT = "/run/monit.pid"  # monit(1): where root's has its PID, if nothing else is said
MOST_BYTES = 1 << 16  # of a supervisor's configuration
PATIENCE = 3.0  # seconds, for all of them together: their tools are Python's and Node's


def ask_supervisors(subjects: Sequence[Subject]) -> Asked:
    """With the names that supervisors have for the programs that they keep running."""
    asked = Asking()
    everybody = []
    for subject in subjects:
        keeper = keeper_of(subject)
        everybody.append(subject._replace(process=asked.about(subject, keeper) if keeper else unkept(subject)))
    return Asked(asked.with_monit(everybody), tuple(asked.blind_spots))


class Asking:
    """Questions to supervisors, each asked once, and who did not answer."""

    def __init__(self) -> None:
        self.blind_spots: dict[BlindSpot, None] = {}
        self._patience = Patiences(PATIENCE)
        self._answers: dict[tuple[int, Inquiry], str | BlindSpot] = {}

    def about(self, subject: Subject, keeper: Process) -> Process:
        """The process as its supervisor knows it."""
        from portcheck.observe.subprocesses import folder_off_path

        process, spot = subject.process, None
        for question in inquiries(keeper, process, partial(_text_of, keeper)):
            hands = Hands(keeper.uid, keeper.user, question.variables, _files_of(keeper))
            answer = self._answer_to(question, keeper, hands)
            if isinstance(answer, BlindSpot):
                spot = spot or answer
                continue
            hands = hands._replace(folder=folder_off_path(question.argv[0], hands))
            if keeper.pid == process.pid:
                return as_keeper(subject, answer, question, hands)
            return with_keeper(process, named_back(process, keeper, answer, below(subject, keeper)), question, hands)
        word = str(process.supervisor or process.supervises)
        spot = spot or _silent(word, "does not say where it takes commands")
        self.blind_spots[spot] = None
        return keeper_unknown(process, spot.message.partition(":")[0])

    def with_monit(self, subjects: Sequence[Subject]) -> tuple[Subject, ...]:
        """With what root's monit would start again; its file is root's alone, and so are its answers."""
        monit = _monit() if own_uid() == 0 else None
        if monit is None or not any(subject.process.pid for subject in subjects):
            return tuple(subjects)
        hands, file = Hands(0, "root", beside=_files_of(monit)), monit_file(monit)
        question = Inquiry(("monit", *(("-c", file) if file else ()), "status"))
        answer = self._answer_to(question, monit, hands)
        if isinstance(answer, BlindSpot):
            self.blind_spots[answer] = None
            return tuple(subjects)
        names = of_monit(answer)
        return tuple(one._replace(process=with_monit(one, monit, names, hands)) for one in subjects)

    def _answer_to(self, question: Inquiry, keeper: Process, hands: Hands) -> str | BlindSpot:
        if (keeper.pid, question) not in self._answers:
            answer = _answer(keeper, question, self._patience.with_(hands), hands)
            self._answers[keeper.pid, question] = answer
        return self._answers[keeper.pid, question]


def _monit() -> Process | None:
    """Root's monit, which is no ancestor of what it starts: by the file in which it leaves its PID."""
    from portcheck.observe.files import small_file
    from portcheck.observe.ownership import is_owned_by

    pid = number((small_file(MONIT, 32) or b"").decode("ascii", "replace").strip())
    monit = process_now(pid) if pid and is_owned_by(MONIT, 0) else None
    return monit if monit and monit.uid == 0 and base(monit.executable or "") == "monit" else None


def _answer(keeper: Process, question: Inquiry, patience: Patience, hands: Hands) -> str | BlindSpot:
    from portcheck.observe.ownership import is_owned_by
    from portcheck.observe.subprocesses import NoAnswerError, ask, reason

    tool = question.argv[0]
    if question.pid_file and not _names(question.pid_file, keeper.pid):
        return ""  # another one would answer, or be started in order to: this one is not what it says
    if keeper.uid is None or not all(is_owned_by(file, keeper.uid) for file in question.files):
        return _silent(tool, "is not asked about files of others")
    try:
        answer = ask(question.argv, patience, hands)
        text = _completed(question, answer.out, patience, hands) if tool == "supervisorctl" else answer.out
    except NoAnswerError as error:
        return _silent(tool, str(error))
    # supervisorctl fails where any of its programs does not run, and tells of them all the same
    if answer.is_cut or not answer.out.strip():
        return _silent(tool, f"gave no answer ({reason(answer.err)})")
    return text


def _completed(question: Inquiry, answer: str, patience: Patience, hands: Hands) -> str:
    """supervisorctl's `status` leaves out the PIDs of programs that are only starting, and its `pid` all programs."""
    from portcheck.observe.subprocesses import ask

    *command, asked = question.argv
    if asked == "pid":
        return f"{answer.strip()}\n{ask((*command, 'status'), patience, hands).out}"
    names = starting(answer)
    return with_pids(answer, names, ask((*command, "pid", *names), patience, hands).out) if names else answer


def _silent(tool: str, reason: str) -> BlindSpot:
    remedy = None if own_uid() == 0 else AS_ROOT
    return BlindSpot("supervisor-no-answer", f"{tool} {reason}: what it keeps running stays unknown", remedy)


def _files_of(keeper: Process) -> tuple[str, ...]:
    """Its program, its script, and the command with which a shell has started it: beside one of them are its tools.

    pm2's daemon has overwritten its arguments, and runs a node that may be far from pm2.
    """
    script, started = (keeper.command or ())[1:2], BACK_END.environment(keeper.pid).get("_")
    files = (keeper.executable, *script, started)
    return tuple(os.path.join(keeper.cwd or "", file) for file in files if file)


def _text_of(keeper: Process, file: str) -> str:
    """Of a file that is its user's or root's; nobody else could have written there what a tool is told to do."""
    from portcheck.observe.files import small_file
    from portcheck.observe.ownership import is_owned_by

    if keeper.uid is None or not is_owned_by(file, keeper.uid):
        return ""
    return os.fsdecode(small_file(os.path.realpath(file), MOST_BYTES) or b"")


def _names(file: str, pid: int) -> bool:
    """Whether a file holds this PID, and nothing else."""
    from portcheck.observe.files import small_file

    return (small_file(file, 32) or b"").strip() == str(pid).encode()
