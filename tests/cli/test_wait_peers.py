"""What wait-on, wait-port and wait-for-it test of themselves, asked of `portcheck wait` with real servers.

Each case has the words of the peer's own test (wait-on 9.5 test/*.mocha.js, wait-port 1.1 lib/*.spec.js, wait-for-it
test/wait-for-it.py).  What makes no sense here is in OUT_OF_SCOPE, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON
from support.web import Web, certificate, tls

import portcheck

OK, LATER, ONLY_LISTENS, NOBODY, OTHER, TLS = 3000, 3001, 3002, 3010, 3020, 3443
UNREACHABLE = "198.51.100.1"  # a route leads there, and nobody answers
SHORT: dict[str, Any] = {"timeout": 0.4, "per_try": 0.3}


class Case(NamedTuple):
    peer: str
    words: str
    targets: tuple[str, ...]
    expected: str  # ready, timeout or usage
    options: Mapping[str, Any]
    later: bool  # the server comes after the wait has begun

    def __str__(self) -> str:
        return f"{self.peer}: {self.words}"


def on(peer: str, words: str, expected: str, *targets: str, later: bool = False, **options: Any) -> Case:
    return Case(peer, words, targets, expected, options, later)


CASES = [
    on("wait-on", "http resources become available later", "ready",
       f"http://localhost:{LATER}", f"http://localhost:{LATER}/foo", later=True),
    on("wait-on", "custom validateStatus fn is provided, http resource returns 401", "ready",
       f"http://localhost:{OK}/denied", status=[401, "2xx"]),
    on("wait-on", "http resource becomes available later via redirect", "ready",
       f"http://localhost:{LATER}/moved", later=True, follow=True),
    on("wait-on", "http GET resources become available later", "ready",
       f"http-get://localhost:{LATER}", f"http-get://localhost:{LATER}/foo", later=True),
    on("wait-on", "http GET resource becomes available later via redirect", "ready",
       f"http-get://localhost:{LATER}/moved", later=True, follow=True),
    on("wait-on", "a service is listening to tcp port", "ready", f"tcp:localhost:{OK}", f"tcp:{OK}"),
    on("wait-on", "tcp port, available later", "ready", f"tcp:localhost:{LATER}", later=True),
    on("wait-on", "an http resource returns 404", "timeout", f"http://localhost:{OK}/missing"),
    on("wait-on", "an http resource is not available", "timeout", f"http://localhost:{NOBODY}"),
    on("wait-on", "an http resource does not respond before httpTimeout", "timeout",
       f"http://localhost:{ONLY_LISTENS}", per_try=0.07),
    on("wait-on", "followRedirect is false and http resource redirects", "timeout",
       f"http://localhost:{OK}/moved", status="2xx"),
    on("wait-on", "an http GET resource is not available", "timeout", f"http-get://localhost:{NOBODY}"),
    on("wait-on", "an https resource is not available", "timeout", f"https://localhost:{NOBODY}/foo/bar"),
    on("wait-on", "an https GET resource is not available", "timeout", f"https-get://localhost:{NOBODY}/foo/bar"),
    on("wait-on", "followRedirect is false and http GET resource redirects", "timeout",
       f"http-get://localhost:{OK}/moved", status="2xx"),
    on("wait-on", "a service is not listening to tcp port", "timeout", f"tcp:localhost:{NOBODY}"),
    on("wait-on", "some resources are not available", "timeout", f"tcp:{OK}", f"tcp:{NOBODY}"),
    on("wait-on", "a service host is unreachable (a name that is no address)", "usage", "tcp:256.0.0.1:1234"),
    on("wait-on", "TCP timeout handler", "timeout", f"tcp:{UNREACHABLE}:1234"),
    on("wait-on", "no resources are provided", "usage"),
    on("wait-on", "reject a malformed http-get resource promptly", "usage", "http-get:localhost:3000/x"),
    on("wait-on", "succeed against a tcp IPv6 listener", "ready", f"tcp:[::1]:{OTHER}"),
    on("wait-on", "time out for a tcp IPv6 with no listener", "timeout", f"tcp:[::1]:{NOBODY}"),
    on("wait-on", "reverse mode: a port on which nobody listens", "ready", f"tcp:127.0.0.1:{NOBODY}", free=True),
    on("wait-on", "reverse mode: a port on which somebody listens", "timeout", f"tcp:127.0.0.1:{OK}", free=True),
    on("wait-on", "fail an https self-signed cert when strictSSL is true", "timeout", f"https://localhost:{TLS}/"),
    on("wait-on", "pass an https self-signed cert when strictSSL is false", "ready",
       f"https://localhost:{TLS}/", insecure=True),
    on("wait-port", "wait until a port is open IPv4", "ready", f"127.0.0.1:{ONLY_LISTENS}"),
    on("wait-port", "wait until a port is open IPv6", "ready", f"[::1]:{OTHER}"),
    on("wait-port", "wait until a port is open IPv4 with localhost", "ready", f"localhost:{ONLY_LISTENS}"),
    on("wait-port", "timeout after the specified time", "timeout", f"127.0.0.1:{NOBODY}"),
    on("wait-port", "timeout even with a non-routable address", "timeout", f"{UNREACHABLE}:9021"),
    on("wait-port", "timeout when waiting for http but only given tcp/ip", "timeout",
       f"http://127.0.0.1:{ONLY_LISTENS}"),
    on("wait-port", "timeout when waiting for an http server which is giving non-2XX responses", "timeout",
       f"http://127.0.0.1:{OK}/bad"),
    on("wait-port", "error if the address is not found", "usage", "nosuchhost.invalid:9021"),
    on("wait-port", "not error if the address is not found when 'wait-for-dns' is used", "timeout",
       "nosuchhost.invalid:9021", wait_for_dns=True),
    on("wait-port", "the same of an http address", "timeout",
       "http://nosuchhost.invalid:9021/", wait_for_dns=True),
    on("wait-port", "successfully wait for a valid http response", "ready", f"http://127.0.0.1:{OK}"),
    on("wait-port", "throw if more than one separator is used", "usage", "host:port:wtf"),
    on("wait-port", "throw if a non-numeric port target is provided", "usage", "808X"),
    on("wait-port", "throw if a non-numeric :port target is provided", "usage", ":808X"),
    on("wait-port", "throw if a non-numeric host:port target is provided", "usage", "localhost:808X"),
    on("wait-port", "throw if an invalid port is specified (-1)", "usage", "-1"),
    on("wait-port", "throw if an invalid port is specified (65536)", "usage", "65536"),
    on("wait-port", "a valid port", "ready", f"{OK}"),
    on("wait-port", "a valid host:port", "ready", f"127.0.0.1:{OK}"),
    on("wait-port", "a valid protocol and path", "ready", f"http://localhost:{OK}/healthcheck"),
    on("wait-port", "a valid protocol without a host", "usage", f"http://:{OK}"),  # localhost has to be named
    on("wait-port", "a protocol other than http", "ready", f"tcp://localhost:{ONLY_LISTENS}"),
    on("wait-for-it", "no port", "usage", "localhost"),
    on("wait-for-it", "port failure with timeout", "timeout", f"localhost:{NOBODY}"),
]  # fmt: skip

# By peer: what its tests are about, why it has no place here, and how it is refused where it can be typed.
OUT_OF_SCOPE: list[tuple[str, str, str, str | None]] = [
    ("wait-on", "file resources, with reverse mode and stable sizes", "a file is no port", "file:/tmp/foo"),
    ("wait-on", "a file by its path", "a file is no port", "/tmp/foo"),
    ("wait-on", "a service listening to a socket", "a Unix socket has no port", "socket:/tmp/sock"),
    ("wait-on", "http over a Unix socket", "a Unix socket has no port", "http://unix:/tmp/sock:/foo"),
    ("wait-on", "http GET over a Unix socket", "a Unix socket has no port", "http-get://unix:/tmp/sock:/foo"),
    ("wait-on", "auth", "passwords do not belong on a command line", "http://user:p%40ss@localhost:3000/"),
    ("wait-on", "command: resources", "`until CMD; do sleep 1; done` is a shell's", None),
    ("wait-on", "proxy", "whether a proxy answers is not the question", None),
    ("wait-on", "config files, headers, an unknown flag that is ignored", "options are given by name", None),
    ("wait-on", "client certificates and `ca`", "SSL_CERT_FILE names one's own authority", None),
    ("wait-port", "output functions", "--quiet, --json", None),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Web]]:
    with Host() as host, host.entered(), Web() as web:
        host.ip(f"route add {UNREACHABLE} dev eth0")
        web.serve(OK)
        web.listen(ONLY_LISTENS)
        web.listen(OTHER, "::1")
        web.serve(TLS, tls=tls(certificate(tmp_path_factory.mktemp("tls"))))
        yield host, web


@pytest.fixture
def late(world: tuple[Host, Web]) -> Iterator[Callable[[], None]]:
    """Starts a server on LATER in a moment, which ends with the test."""
    with world[0].entered(), Web() as web:
        yield lambda: web.later(lambda: web.serve(LATER, location="/foo"))


def outcome(case: Case) -> str:
    patient = {"timeout": PATIENCE} if case.expected == "ready" else SHORT
    if case.options.get("free"):
        patient = {"timeout": patient["timeout"]}
    try:
        portcheck.wait(*case.targets, **{**patient, **case.options})
    except portcheck.UsageError:
        return "usage"
    except portcheck.WaitFailed as failed:
        return failed.waited.outcome
    return "ready"


@pytest.mark.parametrize("case", [case for case in CASES if case.targets], ids=str)
def test_a_peers_case(world: tuple[Host, Web], late: Callable[[], None], case: Case) -> None:
    if case.later:
        late()
    with world[0].entered():
        assert outcome(case) == case.expected


@pytest.mark.parametrize("target", [target for *_, target in OUT_OF_SCOPE if target])
def test_what_is_out_of_scope_is_refused_in_a_line(host: Host, target: str) -> None:
    done = host.portcheck("wait", target)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") <= 2
    assert "p%40ss" not in done.stderr


def test_a_certificate_of_an_authority_of_ones_own(host: Host, tmp_path: Path) -> None:
    """wait-on: pass a self-signed cert when the matching ca is supplied."""
    file = certificate(tmp_path)
    with host.entered(), Web() as web:
        web.serve(TLS, tls=tls(file))
        env = {"SSL_CERT_FILE": str(file.with_suffix(".crt"))}
        done = host.portcheck("wait", f"https://localhost:{TLS}/", env=env)
    assert (done.returncode, "answers 200" in done.stdout) == (0, True)


def test_ipv6_with_localhost(host: Host, tmp_path: Path) -> None:
    """wait-port: wait until a port is open IPv6 with localhost, by /etc/hosts as Debian writes it."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    with host.entered(), Web() as web:
        web.serve(OTHER, "::1")
        line = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        waits = [str(PORTCHECK), "wait", f"localhost:{OTHER}", f"http://localhost:{OTHER}/"]
        done = host.run(["unshare", "-m", "sh", "-c", line, "sh", *waits])
    assert f"http://localhost:{OTHER}/ answers 200" in done.stdout


# wait-for-it's remaining cases: its command.


def test_command_execution(host: Host) -> None:
    host.hold("0.0.0.0", OK)
    done = host.portcheck("wait", f"localhost:{OK}", "--", "echo", "CMD OUTPUT")
    assert (done.returncode, done.stdout) == (0, "CMD OUTPUT\n")
    assert f"port {OK}" in done.stderr


def test_failed_command_execution(host: Host) -> None:
    host.hold("0.0.0.0", OK)
    done = host.portcheck("wait", f"localhost:{OK}", "--", SYSTEM_PYTHON, "-c", "import sys; sys.exit('no file')")
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (1, "", "no file")


def test_command_after_connection_failure(host: Host) -> None:
    """It runs there unless --strict is given; here only if asked."""
    line = ["wait", f"localhost:{NOBODY}", "--timeout", "0"]
    strict = host.portcheck(*line, "--", "echo", "CMD OUTPUT")
    assert (strict.returncode, strict.stdout) == (124, "")
    lax = host.portcheck(*line, "--run-anyway", "--", "echo", "CMD OUTPUT")
    assert (lax.returncode, lax.stdout) == (0, "CMD OUTPUT\n")
    assert all("timed out after 0 s: nothing listens" in done.stderr for done in (strict, lax))


def test_host_and_port_as_options(host: Host) -> None:
    host.hold("0.0.0.0", OK)
    assert host.portcheck("wait", "--host=localhost", f"--port={OK}", "--timeout=1").returncode == 0
    for args in (["--host=localhost"], []):  # "no port", "no args"
        assert host.portcheck("wait", *args).returncode == 2
    assert host.portcheck("wait", f"--port={OK}").returncode == 0  # without a host: any address of this one
    assert "Usage: portcheck wait" in host.portcheck("wait", "--help").stdout
