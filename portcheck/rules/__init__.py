"""What the operating system's own bind rules say, decided purely from values: nothing here asks the system.

`predict` judges one bind against a table of sockets.  The rules of each platform are in a module of their own, which
knows one pair of sockets at a time: `conflict(new, old)` is True (refused), False (not by this one) or None (flags that
nobody can read decide).
"""

from __future__ import annotations

from portcheck.lean_functools import partial
from portcheck.model import Network, Prediction
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portcheck.model import BindRequest, Outcome, Socket
    from portcheck.vocabulary import Platform

    Conflict = Callable[[BindRequest, Socket], bool | None]
    Shadow = Callable[[BindRequest, Socket], bool]

USUAL = Network()


def predict(
    new: BindRequest,
    sockets: Sequence[Socket],
    platform: Platform,
    *,
    sees_bound_only: bool = True,
    network: Network = USUAL,
) -> Prediction:
    """Whether `new` would be refused because of `sockets`, and by which; indexes are into `sockets`.

    `sees_bound_only` False says that sockets may be missing from the table: TCP ones which are bound but do not
    listen, or those of processes that may not be looked at.  Then nothing seen is "unknown", not "free" (with
    `undecided` empty, since no socket of the table is the reason).  `network` is Linux's.
    """
    conflict, shadow = _rules(platform, network)
    verdicts = [conflict(new, old) for old in sockets]
    blocked_by = tuple(index for index, verdict in enumerate(verdicts) if verdict)
    undecided = tuple(index for index, verdict in enumerate(verdicts) if verdict is None)
    shadows = () if shadow is None else tuple(
        index for index, verdict in enumerate(verdicts) if not verdict and shadow(new, sockets[index])
    )  # fmt: skip
    outcome: Outcome = "in-use" if blocked_by else "unknown" if undecided or not sees_bound_only else "free"
    return Prediction(outcome, blocked_by, undecided, shadows)


def _rules(platform: Platform, network: Network) -> tuple[Conflict, Shadow | None]:
    """The platform's pairwise rule, and where two sockets can share clients unasked, the rule that tells which."""
    if platform == "linux":
        from portcheck.rules import linux

        return partial(linux.conflict, network=network), None
    if platform == "windows":
        from portcheck.rules import windows

        return windows.conflict, windows.shadows
    if platform == "macos":
        from portcheck.rules import macos

        return macos.conflict, macos.shadows
    from portcheck.rules import unknown_system

    return unknown_system.conflict, None
