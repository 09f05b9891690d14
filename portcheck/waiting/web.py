"""Asks the URLs that are waited for."""

from __future__ import annotations

import time

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.web import NoAnswerError, ask
from portcheck.waiting.condition import answered, silent
from portcheck.waiting.readiness import REDIRECTS, onward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portcheck.observe.web import Head
    from portcheck.target import Endpoint, Url
    from portcheck.waiting.loop import Standing
    from portcheck.waiting.readiness import Readiness

PER_TRY = 5.0  # seconds for connecting, TLS and the head of the answer
# The last look is taken when time is up, and is a look all the same: seconds.
AT_LEAST = 0.5
MOST_REDIRECTS = 5


def standing_of(
    endpoint: Endpoint, url: Url, find: Callable[[float], Sequence[str]], readiness: Readiness, left: float
) -> Standing:
    """How a URL stands now; `left` is how many seconds there are, for all redirects together.

    `find` tells the addresses of its host, in as many seconds.
    """
    seconds = min(max(left, AT_LEAST), readiness.per_try or PER_TRY)
    end = time.monotonic() + seconds
    redirects = 0
    try:
        addresses = find(seconds)
        head = ask(url, addresses, end - time.monotonic(), insecure=readiness.insecure)
        while redirects < MOST_REDIRECTS and (following := _following(url, head, readiness)):
            url, redirects = following, redirects + 1
            head = ask(url, addresses, end - time.monotonic(), insecure=readiness.insecure)
    except NoAnswerError as refusal:
        return silent(endpoint, str(refusal))
    return answered(endpoint, head.status, redirects, is_ready=readiness.takes(head.status))


def _following(url: Url, head: Head, readiness: Readiness) -> Url | None:
    return onward(url, head.location) if readiness.follow and head.status in REDIRECTS else None
