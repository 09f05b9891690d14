"""When a URL is ready, where its redirects lead, and looks that are taken at once."""

from __future__ import annotations

import threading

import pytest
from support.patience import PATIENCE

from portcheck.errors import UsageError
from portcheck.observe.at_once import MOST_THREADS, at_once
from portcheck.target import Url, parse_url
from portcheck.waiting.readiness import Readiness, onward, parse_statuses


@pytest.mark.parametrize(
    ("given", "ready", "not_ready"),
    [
        ((), (200, 204, 299, 301, 399), (199, 400, 404, 500, 999)),
        (("200",), (200,), (201, 302, 404)),
        (("2xx",), (200, 299), (302, 404)),
        (("200,404",), (200, 404), (201, 401)),
        (("200", "4XX"), (200, 404), (201, 302)),
        (("40x",), (400, 409), (410,)),
        (("401-403,2xx",), (401, 403, 200), (400, 404)),
        (("2xx-3xx",), (200, 399), (400,)),
    ],
)
def test_which_answers_are_ready(given: tuple[str, ...], ready: tuple[int, ...], not_ready: tuple[int, ...]) -> None:
    readiness = Readiness(parse_statuses(given))
    assert all(map(readiness.takes, ready))
    assert not any(map(readiness.takes, not_ready))


def test_who_follows_redirects_is_not_content_with_one() -> None:
    assert [Readiness(follow=True).takes(status) for status in (200, 302)] == [True, False]
    assert Readiness(parse_statuses(["302"]), follow=True).takes(302)


@pytest.mark.parametrize(
    "text", ["", "20", "2000", "100", "600", "xx", "x00", "200,", "404-200", "-1", "2\u0662\u0662", "ok"]
)
def test_what_is_no_status(text: str) -> None:
    with pytest.raises(UsageError, match="is no HTTP status; accepted: 200, 2xx"):
        parse_statuses([text])


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://localhost", "localhost", 80, "/"),
        ("https://localhost?q", "localhost", 443, "/?q"),
        ("http-get://localhost/a", "localhost", 80, "/a"),
        ("http://[::1]:3000/a#b", "::1", 3000, "/a"),
        ("http://h:1/a%20b c/\u00fc?x=\u00e4&y=%zz", "h", 1, "/a%20b%20c/%C3%BC?x=%C3%A4&y=%zz"),
        ("http://h:1/a\r\nHost: evil", "h", 1, "/aHost:%20evil"),
    ],
)
def test_urls_are_taken_apart(text: str, host: str, port: int, path: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.path, url.has_userinfo) == (host, port, path, False)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/login", Url("http", "localhost", 3000, "/login")),
        ("login?next=/", Url("http", "localhost", 3000, "/a/login?next=/")),
        ("https://localhost/", Url("https", "localhost", 443, "/")),
        ("//LOCALHOST:3001", Url("http", "localhost", 3001, "/")),
        ("http://localhost.example/", None),
        ("http://127.0.0.1:3000/", None),
        ("http://user@localhost:3000/", None),
        ("ftp://localhost/", None),
        ("file:///etc/passwd", None),
        ("http://localhost:99999/", None),
        ("http://[", None),
        ("", None),
        (None, None),
    ],
)
def test_redirects_stay_on_the_host(location: str | None, leads_to: Url | None) -> None:
    assert onward(Url("http", "localhost", 3000, "/a/b"), location) == leads_to


def test_looks_are_taken_at_once_and_come_in_order() -> None:
    together = threading.Barrier(MOST_THREADS, timeout=PATIENCE)
    places = list(range(2 * MOST_THREADS))
    assert at_once(lambda place: (together.wait() and place) or place, places, lambda _: False) == places


def test_one_that_is_enough_is_not_kept_waiting() -> None:
    over = threading.Event()
    found = at_once(lambda text: over.wait(PATIENCE) if text == "slow" else text, ["slow", "quick"], lambda _: True)
    over.set()
    assert found == [None, "quick"]


def test_what_a_look_raises_is_raised() -> None:
    def look(place: int) -> int:
        raise KeyError(place)

    for places in ([1], [1, 2]):
        with pytest.raises(KeyError):
            at_once(look, places, lambda _: False)
