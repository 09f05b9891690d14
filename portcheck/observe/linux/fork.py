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
    return OWN_PROCESS and hasattr(os, "fork") and len(os.sched_getaffinity(0)) > 1


def spread(parts: Sequence[Part], work: Callable[[Part], Found]) -> list[Found]:
    """`work` of each part, in order: the first part here, each further one by a child of its own.

    What `work` returns has to be plain enough for `marshal`.  A child that fails is made up for here.
    """
    children = [_child(part, work) for part in parts[1:]]
    results = [work(part) for part in parts[:1]]
    for part, (pid, pipe) in zip(parts[1:], children):
        with open(pipe, "rb") as answer:
            data = answer.read()
        os.waitpid(pid, 0)
        results.append(marshal.loads(data) if data else work(part))  # noqa: S302 - our own child's
    return results


def _child(part: Part, work: Callable[[Part], Found]) -> tuple[int, int]:
    """(pid, reading end of a pipe) of a child that works on this part and ends without any clean-up of ours."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        plain: Any = work(part)
        with open(writer, "wb") as answer:
            answer.write(marshal.dumps(plain))
    finally:
        os._exit(0)
