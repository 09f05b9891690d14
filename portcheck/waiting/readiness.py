"""When a URL is ready, and how it is asked.  Pure."""

from __future__ import annotations

from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.target import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.target import Url

SUCCESS, REDIRECTION = range(200, 300), range(300, 400)
REDIRECTS = (301, 302, 303, 307, 308)  # those that lead somewhere (RFC 9110, 15.4)


class Readiness(NamedTuple):
    """What is expected of a URL."""

    statuses: tuple[range, ...] = ()  # (): a success, and without `follow` a redirection too
    insecure: bool = False  # any certificate will do
    follow: bool = False  # redirects on the same host
    per_try: float | None = None  # seconds for one try, of whatever is connected to

    def takes(self, status: int) -> bool:
        """Whether a server that answers this is ready."""
        usual = (SUCCESS,) if self.follow else (SUCCESS, REDIRECTION)
        return any(status in statuses for statuses in self.statuses or usual)

    @property
    def is_about_urls(self) -> str | None:
        """The option that only makes sense for a URL."""
        given = {"--status": self.statuses, "--insecure": self.insecure, "--follow": self.follow}
        return next((option for option, value in given.items() if value), None)


USUAL = Readiness()


def parse_statuses(texts: Iterable[str]) -> tuple[range, ...]:
    """`200`, `2xx`, `200,404`, `401-403` → the statuses.  Raises UsageError."""
    return tuple(_statuses(part) for text in texts for part in text.split(","))


def _statuses(text: str) -> range:
    first, dash, last = text.partition("-")
    low, high = _status(first, "0"), _status(last if dash else first, "9")
    if low is None or high is None or low > high:
        raise UsageError(f"'{text}' is no HTTP status; accepted: 200, 2xx, 200,404, 401-403")
    return range(low, high + 1)


def _status(text: str, for_x: str) -> int | None:
    """A status from 200 to 599: the 1xx come before an answer."""
    digits = text[:1] + text[1:].lower().replace("x", for_x)
    is_one = len(digits) == 3 and digits.isascii() and digits.isdigit() and digits[0] in "2345"
    return int(digits) if is_one else None


def onward(url: Url, location: str | None) -> Url | None:
    """Where a redirect leads; None for what is not followed: another host, which nobody has named, or no URL at all."""
    from urllib.parse import urljoin

    host = f"[{url.host}]" if ":" in url.host else url.host
    try:
        target = parse_url(urljoin(f"{url.web}://{host}:{url.port}{url.path}", location or ""))
    except (UsageError, ValueError):
        return None
    same = target.web is not None and target.host == url.host and not target.has_userinfo
    return target if location and same else None
