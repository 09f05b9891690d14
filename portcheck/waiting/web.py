"""Asks the URLs that are waited for."""

from __future__ import annotations

import time

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.web import NoAnswerError, ask
from portcheck.waiting.condition import answered, silent
from portcheck.waiting.readiness import REDIRECTS, onward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.target import Endpoint, Url
    from portcheck.waiting.loop import Standing
    from portcheck.waiting.readiness import Readiness

PER_TRY = 5.0  # seconds for connecting, TLS and the head of the answer
MOST_REDIRECTS = 5


def standing_of(endpoint: Endpoint, url: Url, addresses: Sequence[str], readiness: Readiness, left: float) -> Standing:
    """How a URL stands now; `left` is how many seconds there are at most, for all redirects together."""
    seconds = min(left, readiness.per_try or PER_TRY)
    end = time.monotonic() + seconds
    redirects = 0
    try:
        head = ask(url, addresses, seconds, insecure=readiness.insecure)
        while readiness.follow and head.status in REDIRECTS and redirects < MOST_REDIRECTS:
            following = onward(url, head.location)
            if following is None:
                break
            url, redirects = following, redirects + 1
            head = ask(url, addresses, end - time.monotonic(), insecure=readiness.insecure)
    except NoAnswerError as refusal:
        return silent(endpoint, str(refusal))
    return answered(endpoint, head.status, redirects, is_ready=readiness.takes(head.status))
