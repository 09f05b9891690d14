"""What this process's user namespace leaves of other users, and of rights it could still get (user_namespaces(7))."""

from __future__ import annotations

from portcheck.lean_functools import cache
from portcheck.observe.linux import procfs
from portcheck.text import number

_EVERY_UID = 0xFFFFFFFF  # the last one is no user's
_USUAL_OVERFLOW = 65534


@cache
def strangers_uid() -> int | None:
    """The user id as which the kernel tells whoever has none in this namespace; None where every user has one.

    It says who they are as little as no number would, though the user database has a name for it: nobody.
    """
    mapped = [number(line.split()[-1]) or 0 for line in _text("self/uid_map").split("\n") if line]
    if not mapped or sum(mapped) >= _EVERY_UID:
        return None
    overflow = number(_text("sys/kernel/overflowuid").strip())
    return _USUAL_OVERFLOW if overflow is None else overflow


def confined() -> bool:
    """Whether sudo gives this process no right over the host: by no_new_privs, or as its root is not the host's."""
    return strangers_uid() is not None or "\nNoNewPrivs:\t1\n" in _text("self/status")


def _text(path: str) -> str:
    return (procfs.read(path) or b"").decode("ascii", "replace")
