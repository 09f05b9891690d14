"""Runs other programs: for their answers, or because they do what was asked for.

A tool that hangs, floods or lies in wait must not harm portcheck or whoever runs it.  So a program is found on absolute
entries of the PATH alone (or beside the manager that it belongs to), and runs in `/`, with a clean environment, without
a terminal or input, for a limited time, as the user to whom its manager belongs; of its words no more than a limit is
kept.
"""

from __future__ import annotations

import os
import time
from itertools import chain

from portcheck.model import Hands
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.ownership import is_owned_by
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from subprocess import Popen

OWN = Hands()
MOST_BYTES = 1 << 22  # of each of a program's two outputs
CHUNK = 1 << 16
LONGEST_REASON = 160  # characters
# What people set so that their own container engine or systemd is found; nobody else's is asked with it.
KEPT = (
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "CONTAINER_HOST",
    "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR",
)  # fmt: skip


class NoAnswerError(Exception):
    """The program gave none; the text says why, as the end of a sentence about it."""


class TooSlowError(NoAnswerError):
    """It was killed, because its time was over."""


class Answer(NamedTuple):
    """What a program wrote, and whether it succeeded."""

    ok: bool
    out: str
    err: str
    status: int = 0  # its exit status
    is_cut: bool = False  # it wrote more than is kept


class Patience:
    """A time that several questions share, in seconds; it begins with the first one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline: float | None = None

    def left(self) -> float:
        """Seconds; never less than 0."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self.seconds
        return max(0.0, self._deadline - time.monotonic())


def is_there(program: str) -> bool:
    """Whether the program would be found."""
    return path_of(program) is not None


# Where docker looks for its plugins, after the user's own directory.
PLUGINS = (
    "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins", "/usr/share/docker/cli-plugins",
)  # fmt: skip


def has_docker_plugin(name: str, hands: Hands = OWN) -> bool:
    """Whether this command of docker is there for them: `docker compose`."""
    if _uid() is None:
        return True  # Docker Desktop brings it
    if hands.uid is None:
        own = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    else:
        own = os.path.join(_entry(hands.uid)[2], ".docker")
    folders = (os.path.join(own, "cli-plugins"), *PLUGINS)
    return any(os.access(os.path.join(folder, f"docker-{name}"), os.X_OK) for folder in folders)


def may_use(hands: Hands) -> bool:
    """Whether whoever runs portcheck can do something as this user."""
    return hands.uid is None or _uid() in (0, hands.uid)


def path_of(program: str, hands: Hands = OWN) -> str | None:
    """Where the program is: beside its manager, if nobody else could have put it there, else on the PATH.

    Neither a relative entry of the PATH nor the current directory counts (Windows looks there first): a repository
    that is checked may have a `docker` of its own.
    """
    if os.path.isabs(program):
        return program
    return next(chain(_beside(program, hands), _on_path(program)), None)


def folder_off_path(program: str, hands: Hands) -> str | None:
    """The directory of a program that has to be called by its whole path."""
    path = path_of(program, hands)
    return None if path is None or path_of(program) is not None else os.path.dirname(path)


def _on_path(program: str) -> Iterator[str]:
    suffix = ".exe" if HERE.finds_programs_in_current_directory else ""
    paths = (os.path.join(folder, program + suffix) for folder in _path())
    return (path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK))


def _path() -> list[str]:
    return [folder for folder in os.get_exec_path() if os.path.isabs(folder)]


def _beside(program: str, hands: Hands) -> Iterator[str]:
    """A virtual environment's supervisorctl lies beside its supervisord, and npm's pm2 beside its node."""
    owner = _uid() if hands.uid is None else hands.uid
    for file in hands.beside:
        path = os.path.join(os.path.dirname(file), program)
        if os.path.isabs(path) and os.access(path, os.X_OK) and owner is not None and is_owned_by(path, owner):
            yield path


def ask(argv: Sequence[str], patience: Patience, hands: Hands = OWN) -> Answer:
    """Runs the program, and kills it with all its children when its time is over.  Raises NoAnswerError."""
    import subprocess

    left = patience.left()
    if not left:
        raise NoAnswerError("was not asked: the time for it was used up")
    path = path_of(argv[0], hands)
    if path is None:
        raise NoAnswerError("is not on the PATH")
    account = _account(hands)
    try:
        with subprocess.Popen(
            (path, *argv[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=os.path.abspath(os.sep),
            env=_environment(hands, path, account),
            start_new_session=True,
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
        ) as process:
            try:
                answer = _heard(process, left)
            except subprocess.TimeoutExpired:
                raise TooSlowError(f"did not answer within {patience.seconds:g} s") from None
            finally:
                _end(process)
    except OSError as error:
        raise NoAnswerError(f"cannot be run: {error.strerror}") from None
    except ValueError as error:  # a zero byte in a name that a manager's user has chosen
        raise NoAnswerError(f"cannot be run: {error}") from None
    return answer


class _Account(NamedTuple):
    """The user as whom a program runs: what Popen sets in the child (None: nothing), and its environment."""

    variables: Mapping[str, str]
    user: int | None = None
    group: int | None = None
    groups: Sequence[int] | None = None


def _account(hands: Hands) -> _Account:
    """Raises NoAnswerError where only others can run something as this user."""
    own = _uid()
    if own is None:
        return _Account({})
    if not may_use(hands):
        raise NoAnswerError(f"answers {hands.user or f'uid {hands.uid}'} and root alone")
    uid = own if hands.uid is None else hands.uid
    name, group, home = _entry(uid)
    variables = {"HOME": home, "XDG_RUNTIME_DIR": f"/run/user/{uid}"}
    if name:
        variables.update(USER=name, LOGNAME=name)
    if uid == own:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return _Account({**variables, **kept})
    return _Account(variables, uid, group, os.getgrouplist(name, group) if name else [])


def _entry(uid: int) -> tuple[str | None, int, str]:
    """Name, group and home directory by the user database; a container's users have no entry there."""
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None, uid, "/"
    return entry.pw_name, entry.pw_gid, entry.pw_dir


def _uid() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None


def _environment(hands: Hands, path: str, account: _Account) -> dict[str, str]:
    """Nothing of ours but the PATH; on Windows everything, without which programs do not start.

    The program's own directory comes last: `#!/usr/bin/env node` of a pm2 that lies beside its node.
    """
    base = dict(account.variables) if _uid() is not None else dict(os.environ)
    folders = dict.fromkeys((*_path(), os.path.dirname(path)))
    return {**base, "PATH": os.pathsep.join(folders), "LC_ALL": "C", **dict(hands.variables)}


def _heard(process: Popen[bytes], seconds: float) -> Answer:
    """What it writes, to the end.  Raises TimeoutExpired."""
    if _uid() is None:  # Windows cannot wait for several pipes
        out, err = process.communicate(timeout=seconds)
        is_cut = len(out) > MOST_BYTES or len(err) > MOST_BYTES
        return _answer(process.returncode, out[:MOST_BYTES], err[:MOST_BYTES], is_cut=is_cut)
    deadline = time.monotonic() + seconds
    out, err, is_cut = _read(process, deadline)
    process.wait(max(0.0, deadline - time.monotonic()))
    return _answer(process.returncode, out, err, is_cut=is_cut)


def _answer(status: int, out: bytes, err: bytes, *, is_cut: bool) -> Answer:
    return Answer(status == 0, _text(out), _text(err), status, is_cut)


def _read(process: Popen[bytes], deadline: float) -> tuple[bytes, bytes, bool]:
    """Both outputs as far as they are kept, and whether there was more.  Raises TimeoutExpired."""
    import selectors
    import subprocess

    assert process.stdout and process.stderr
    out, err, is_cut = bytearray(), bytearray(), False
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)
        pipes.register(process.stderr, selectors.EVENT_READ, err)
        while pipes.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            for pipe, _ in pipes.select(left):
                written = os.read(pipe.fd, CHUNK)
                is_cut = is_cut or len(pipe.data) + len(written) > MOST_BYTES
                pipe.data.extend(written[: MOST_BYTES - len(pipe.data)])
                if not written:
                    pipes.unregister(pipe.fileobj)
    return bytes(out), bytes(err), is_cut


def _text(written: bytes) -> str:
    """os.fsdecode would raise UnicodeDecodeError on Windows, where tools write in the code page of a console."""
    return written.decode("utf-8", "surrogateescape")


# Words of lines that come before the reason: sudo's, Node's.
BESIDE_THE_POINT = ("unable to resolve host", "warning")
OF_FAILURES = ("error", "fail", "denied", "refused", "required", "cannot", "unable", "not ", "no such")


def reason(message: str) -> str:
    """A program's own words on why something failed: the one line of them that tells it, and no long one."""
    lines = [line.strip() for line in message.split("\n") if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        return lines[-1][:LONGEST_REASON]
    to_the_point = [line for line in lines if not any(word in line.lower() for word in BESIDE_THE_POINT)] or lines
    telling = [line for line in to_the_point if any(word in line.lower() for word in OF_FAILURES)]
    return next(iter(telling or to_the_point), "no reason given")[:LONGEST_REASON]


def _end(process: Popen[bytes]) -> None:
    """Kills a process that has not been waited for (so the PID is still its own), and what it started."""
    if process.returncode is not None:
        return
    if hasattr(os, "killpg"):
        import signal

        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
