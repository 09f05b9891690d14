"""A long piece of reading, spread over the processors by fork: only in a process that is our own.

The walk over /proc is the kernel's work almost entirely (3.5 of 3.9 µs a descriptor), so two processors halve it.
A library must not fork the program that uses it; the command line owns its process and says so (`OWN_PROCESS`).
"""

from __future__ import annotations

import marshal
import os

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Part = TypeVar("Part")
    Found = TypeVar("Found")

OWN_PROCESS = False


def may_spread() -> bool:
    """Whether this process may fork, and has more than one processor to gain by it."""
    if not OWN_PROCESS or not hasattr(os, "fork"):
        return False
    try:
        return len(os.sched_getaffinity(0)) > 1
    except OSError:  # a sandbox does not tell
        return False


def spread(parts: Sequence[Part], work: Callable[[Part], Found]) -> list[Found]:
    """`work` of each part, in order: the first part here, each further one by a child of its own.

    What `work` returns has to be plain enough for `marshal`.  A child that fails, or that nobody lets us have (a limit
    on processes, a sandbox), is made up for here.
    """
    children = [_child(part, work) for part in parts[1:]]
    results = [work(part) for part in parts[:1]]
    for part, child in zip(parts[1:], children):
        data = _answer(*child) if child else b""
        try:
            results.append(marshal.loads(data))  # noqa: S302 - our own child's
        except (EOFError, ValueError, TypeError):  # it did not come to its end
            results.append(work(part))
    return results


def _answer(pid: int, pipe: int) -> bytes:
    with open(pipe, "rb") as answer:
        data = answer.read()
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # who started us ignores SIGCHLD, and so do we: the kernel has waited already
        return data
    return data


def _child(part: Part, work: Callable[[Part], Found]) -> tuple[int, int] | None:
    """(pid, reading end of a pipe) of a child that works on this part and ends without any clean-up of ours."""
    try:
        reader, writer = os.pipe()
    except OSError:
        return None
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        return None
    if pid:
        os.close(writer)
        return pid, reader
    try:
        plain: Any = work(part)
        with open(writer, "wb") as answer:
            answer.write(marshal.dumps(plain))
    finally:
        os._exit(0)
