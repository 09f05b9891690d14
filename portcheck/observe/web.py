"""Asks a web server, as a client would: the status of its answer, and nothing of what it says.

One GET, of which the status line and the headers are read; then the connection is closed.  The time limit holds for
all of it together: a server that sends a byte now and then gets no more time than one that sends none.
"""

from __future__ import annotations

import io
import time

from portcheck.lean_functools import cache
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.connect import opened, reason
from portcheck.target import SCHEME_PORTS

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Sequence
    from http.client import HTTPConnection, HTTPResponse

    from portcheck.target import Url

SWITCHING_PROTOCOLS = 101  # of the 1xx the only one that is an answer; after the others the answer comes


class Head(NamedTuple):
    """What an answer begins with."""

    status: int
    location: str | None  # where a redirect leads


class NoAnswerError(Exception):
    """There is none; the message says why, in our own words."""


def ask(url: Url, addresses: Sequence[str], seconds: float, *, insecure: bool) -> Head:
    """The head of the answer to a GET.  Raises NoAnswerError.

    The addresses are tried in order, each with its share of the time.  No proxy is used, nothing but the URL is sent,
    and with `insecure` any certificate will do.
    """
    from http.client import HTTPException, RemoteDisconnected

    deadline = _Deadline(seconds)
    try:
        with _connected(url, addresses, deadline) as plain, _secured(plain, url, deadline, insecure=insecure) as wire:
            return _head(wire, url, deadline)
    except RemoteDisconnected:
        raise NoAnswerError("it closes the connection without an answer") from None
    except HTTPException:
        raise NoAnswerError("what comes is not HTTP") from None
    except OSError as error:
        raise NoAnswerError(_reason(error, seconds)) from None


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds.  Raises TimeoutError where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _connected(url: Url, addresses: Sequence[str], deadline: _Deadline) -> socket.socket:
    """A connection to the first of the addresses that takes one.  Raises OSError."""
    refusals: list[OSError] = []
    for tried, address in enumerate(addresses):
        try:
            return opened(address, url.port, deadline.left() / (len(addresses) - tried))
        except OSError as error:
            refusals.append(error)
    raise refusals[0] if refusals else OSError("the name has no address")


def _secured(plain: socket.socket, url: Url, deadline: _Deadline, *, insecure: bool) -> socket.socket:
    """The same connection, with TLS where the URL asks for it.  Its time limit holds for the whole handshake."""
    plain.settimeout(deadline.left())
    return _tls(insecure=insecure).wrap_socket(plain, server_hostname=_name(url)) if url.web == "https" else plain


@cache
def _tls(*, insecure: bool) -> ssl.SSLContext:
    """Once: reading the certificates of the authorities takes longer than a look."""
    import ssl

    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _head(wire: socket.socket, url: Url, deadline: _Deadline) -> Head:
    from http.client import HTTPResponse

    client = _client(url)
    client.sock = wire
    wire.settimeout(deadline.left())
    # No `Connection: close`: whoever closes first keeps a TIME_WAIT entry, and a server's would be in its own way.
    client.request("GET", url.path, headers={"Accept": "*/*", "User-Agent": "portcheck"})
    response = HTTPResponse(_Punctual(wire, deadline), method="GET")  # type: ignore[arg-type]
    with response:
        response.begin()
        while _is_informational(response):
            response.headers = response.msg = None  # type: ignore[assignment]  # else begin() has nothing to do
            response.begin()
        return Head(response.status, response.headers.get("Location"))


def _client(url: Url) -> HTTPConnection:
    from http.client import HTTPConnection

    client = HTTPConnection(_name(url), url.port)
    client.default_port = SCHEME_PORTS[url.scheme]  # the one that the Host header leaves out
    return client


def _name(url: Url) -> str:
    """The host as a server is told of it: without the zone, which is a matter of ours."""
    return url.host.partition("%")[0]


def _is_informational(response: HTTPResponse) -> bool:
    return response.status // 100 == 1 and response.status != SWITCHING_PROTOCOLS


class _Punctual(io.RawIOBase):
    """What http.client reads: every read takes no longer than what is left of the time."""

    def __init__(self, wire: socket.socket, deadline: _Deadline) -> None:
        self._wire = wire
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """At least one byte, or none at the end.  Raises OSError."""
        self._wire.settimeout(self._deadline.left())
        return self._wire.recv_into(buffer)


def _reason(error: OSError, seconds: float) -> str:
    """Why it does not answer; a certificate is told from a refused connection."""
    import sys

    ssl = sys.modules.get("ssl")  # an error of TLS has imported it
    if ssl and isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not count: {error.verify_message.rstrip('.')}; --insecure takes any"
    if ssl and isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason or error}"
    return reason(error, seconds)
