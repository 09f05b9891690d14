"""Asks supervisors for the names that they have for what they keep running: each once, and within a time limit."""

from __future__ import annotations

import os

from portcheck.identify.keepers import inquiries, named_back, starting, with_pids
from portcheck.identify.managers import as_keeper, below, keeper_of, keeper_unknown, unkept, with_keeper
from portcheck.model import AS_ROOT, BlindSpot, Hands
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences, own_uid
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.keepers import Inquiry
    from portcheck.identify.managers import Subject
    from portcheck.model import Process
    from portcheck.observe.subprocesses import Patience

PATIENCE = 3.0  # seconds, for all of them together: their tools are Python's and Node's


def ask_supervisors(subjects: Sequence[Subject]) -> Asked:
    """With the names that supervisors have for the programs that they keep running."""
    asked = Asking()
    everybody = []
    for subject in subjects:
        keeper = keeper_of(subject)
        everybody.append(subject._replace(process=asked.about(subject, keeper) if keeper else unkept(subject)))
    return Asked(tuple(everybody), tuple(asked.blind_spots))


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
        for question in inquiries(keeper, process):
            hands = Hands(keeper.uid, keeper.user, question.variables, _files_of(keeper))
            answer = self._answer_to(question, keeper, hands)
            if isinstance(answer, BlindSpot):
                spot = spot or answer
                continue
            hands = hands._replace(folder=folder_off_path(question.argv[0], hands))
            if keeper.pid == process.pid:
                return as_keeper(process, answer, hands)
            return with_keeper(process, named_back(process, keeper, answer, below(subject, keeper)), question, hands)
        word = str(process.supervisor or process.supervises)
        spot = spot or _silent(word, "does not say where it takes commands")
        self.blind_spots[spot] = None
        return keeper_unknown(process, spot.message.partition(":")[0])

    def _answer_to(self, question: Inquiry, keeper: Process, hands: Hands) -> str | BlindSpot:
        if (keeper.pid, question) not in self._answers:
            answer = _answer(keeper, question, self._patience.with_(hands), hands)
            self._answers[keeper.pid, question] = answer
        return self._answers[keeper.pid, question]


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
        names = starting(answer.out) if tool == "supervisorctl" else ()
        pids = ask((*question.argv[:-1], "pid", *names), patience, hands).out if names else ""
    except NoAnswerError as error:
        return _silent(tool, str(error))
    # supervisorctl fails where any of its programs does not run, and tells of them all the same
    if answer.is_cut or not answer.out.strip():
        return _silent(tool, f"gave no answer ({reason(answer.err)})")
    return with_pids(answer.out, names, pids)


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


def _names(file: str, pid: int) -> bool:
    """Whether a file holds this PID, and nothing else."""
    from portcheck.observe.context import small_file

    return (small_file(file, 32) or b"").strip() == str(pid).encode()
