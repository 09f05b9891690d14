"""Which operating system this is, and in what systems differ as far as it matters outside of `observe` and `rules`.

One record for each, and the only place besides those two rooms that asks which system this is.  A trait is named for
what it means, never for the system that has it.
"""

from __future__ import annotations

import sys

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from portcheck.vocabulary import Platform


class Traits(NamedTuple):
    """What differs from system to system; the defaults are Unix's."""

    errno_prefix: str = ""  # Winsock has names of its own: WSAEADDRINUSE
    rules_are_known: bool = True  # whether `rules` has this system's bind rules
    reuseaddr_is_usual: bool = True  # servers set SO_REUSEADDR for TCP; on Windows it takes the port from its owner
    has_exclusive_binds: bool = False  # SO_EXCLUSIVEADDRUSE, without which others may bind the port too
    multicast_streams_bind: bool = True  # a TCP socket may have an IPv6 multicast address (Linux says EINVAL)
    wildcards_meet_addresses: bool = False  # so does every bind of a wildcard, whatever the options (not so on BSD)
    binds_tell_v6only: bool = False  # a dual-stack socket refuses every IPv4 bind, one that is IPv6 only refuses none
    # Blind spots that no longer matter once every bind of a question has gone through.
    settled_by_binds: tuple[str, ...] = ()
    refuses_by: str = "a security policy or sandbox"  # what refuses a bind that nothing else explains
    has_sudo: bool = True
    has_uids: bool = True  # users have numbers, and files a mode that says who may write them
    has_posix_shell: bool = True  # whose quotes a command to be pasted needs
    finds_programs_in_current_directory: bool = False  # before those on the PATH
    closed_pipe_is_einval: bool = False  # https://github.com/python/cpython/issues/79935
    forks: bool = True  # fork() and exec(): signals are passed on, descriptors handed over
    has_prctl: bool = False  # a process may adopt orphans, and be told when its parent dies


TRAITS: dict[Platform, Traits] = {
    "linux": Traits(
        multicast_streams_bind=False, wildcards_meet_addresses=True, binds_tell_v6only=True, has_prctl=True
    ),
    "windows": Traits(
        errno_prefix="WSA",
        reuseaddr_is_usual=False,
        has_exclusive_binds=True,
        # A bind with SO_EXCLUSIVEADDRUSE meets sockets that are bound without listening.
        settled_by_binds=("bound-not-visible",),
        refuses_by="Windows",
        has_sudo=False,
        has_uids=False,
        has_posix_shell=False,
        finds_programs_in_current_directory=True,
        closed_pipe_is_einval=True,
        forks=False,
    ),
    # A bind over the sockets of other users is refused whatever their options are.
    "macos": Traits(settled_by_binds=("processes-hidden",)),
    "other": Traits(rules_are_known=False),
}
_NAMES: dict[str, Platform] = {"linux": "linux", "win32": "windows", "darwin": "macos"}

PLATFORM: Platform = _NAMES.get(sys.platform, "other")
HERE = TRAITS[PLATFORM]
