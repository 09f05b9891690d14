"""Asks supervisors for the names that they have for what they keep running: each once, and within a time limit."""

from __future__ import annotations

from portcheck.identify.keepers import inquiry, named_back
from portcheck.identify.managers import below, keeper_of, keeper_unknown, with_keeper
from portcheck.model import AS_ROOT, BlindSpot, Hands
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences
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
    everybody, spots = list(subjects), dict[BlindSpot, None]()
    from portcheck.observe.subprocesses import folder_off_path

    patience = Patiences(PATIENCE)
    answers: dict[tuple[int, Inquiry], str | BlindSpot] = {}
    for index, subject in enumerate(everybody):
        keeper, word = keeper_of(subject), subject.process.supervisor
        if keeper is None or word is None:
            continue
        question = inquiry(word, keeper, subject.process)
        hands = Hands(keeper.uid, keeper.user, question.variables if question else (), _files_of(keeper))
        if question and (keeper.pid, question) not in answers:
            answers[keeper.pid, question] = _supervisors_answer(keeper, question, patience.with_(hands), hands)
        answer = (
            answers[keeper.pid, question]
            if question
            else _supervisor_silent(word, "does not say where it takes commands")
        )
        if isinstance(answer, BlindSpot):
            spots[answer] = None
            process = keeper_unknown(subject.process, answer.message.partition(":")[0])
        else:
            name = named_back(word, keeper, answer, below(subject, keeper))
            folder = folder_off_path(question.argv[0], hands) if question else None
            process = with_keeper(subject.process, name, question, hands._replace(folder=folder))
        everybody[index] = subject._replace(process=process)
    return Asked(tuple(everybody), tuple(spots))


def _supervisors_answer(keeper: Process, question: Inquiry, patience: Patience, hands: Hands) -> str | BlindSpot:
    from portcheck.observe.ownership import is_owned_by
    from portcheck.observe.subprocesses import NoAnswerError, ask, first_line

    tool = question.argv[0]
    if keeper.uid is None or not all(is_owned_by(file, keeper.uid) for file in question.files):
        return _supervisor_silent(tool, "is not asked about files of others")
    if question.pid_file and not _names(question.pid_file, keeper.pid):
        return _supervisor_silent(tool, "would not turn to this supervisor")
    try:
        answer = ask(question.argv, patience, hands)
    except NoAnswerError as error:
        return _supervisor_silent(tool, str(error))
    # supervisorctl fails where any of its programs does not run, and tells of them all the same
    if answer.is_cut or not answer.out.strip():
        return _supervisor_silent(tool, f"gave no answer ({first_line(answer.err)})")
    return answer.out


def _supervisor_silent(tool: str, reason: str) -> BlindSpot:
    return BlindSpot("supervisor-no-answer", f"{tool} {reason}: what it keeps running stays unknown", AS_ROOT)


def _files_of(keeper: Process) -> tuple[str, ...]:
    """Its program, its script, and the command with which it was started: beside one of them are its tools."""
    script = next((word for word in (keeper.command or ())[1:2] if word.startswith("/")), None)
    started = BACK_END.environment(keeper.pid).get("_")
    return tuple(file for file in (keeper.executable, script, started) if file and file.startswith("/"))


def _names(file: str, pid: int) -> bool:
    """Whether a file holds this PID, and nothing else."""
    from portcheck.observe.context import small_file

    return (small_file(file, 32) or b"").strip() == str(pid).encode()
