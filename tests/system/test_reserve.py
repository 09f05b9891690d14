"""A port that is held: nobody else gets it, and clients get in as soon as it listens."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import portcheck
from portcheck.errors import PortcheckError
from portcheck.run.port_file import PortFile


def candidates(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports below the ephemeral range that nobody has."""
    found = []
    for port in range(20000, 32000):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    pytest.skip("no free ports")


def bind(address: str, port: int, *, reuseaddr: bool = True) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if reuseaddr:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


def test_the_first_free_candidate_is_held_and_nobody_slips_in() -> None:
    first, second = candidates(2)
    with portcheck.reserve([first, second]) as held:
        assert (held.port, held.host) == (first, "127.0.0.1")
        assert held.socket.getsockname() == ("127.0.0.1", first)
        assert held.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
        assert not held.socket.get_inheritable()
        for address in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(OSError) as refused:
                bind(address, first)
            assert refused.value.errno == errno.EADDRINUSE
        with portcheck.reserve([first, f"{first}-{second}"]) as other:
            assert other.port == second
    with bind("127.0.0.1", first, reuseaddr=False):
        pass


def test_it_listens_with_what_lets_the_next_server_in() -> None:
    (port,) = candidates(1)
    with portcheck.reserve([port]) as held:
        server = held.listen(backlog=1)
        assert server is held.socket
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()  # the server closes first: TIME_WAIT is on its side
    with bind("127.0.0.1", port):
        pass
    with pytest.raises(OSError), bind("127.0.0.1", port, reuseaddr=False):
        pass


def test_what_time_wait_refuses_is_said_and_passed_over() -> None:
    port, other = candidates(2)
    with portcheck.reserve([port]) as held:
        server = held.listen()
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    with pytest.raises(portcheck.NoFreePort) as refused:
        portcheck.reserve([port])
    (diagnosis,) = refused.value.diagnoses
    assert (diagnosis.port, diagnosis.verdict, diagnosis.cause) == (port, "in-use", "time-wait")
    with portcheck.reserve([port, other]) as held:
        assert held.port == other


def test_no_candidate_is_left() -> None:
    ports = candidates(2)
    with bind("127.0.0.1", ports[0]) as listener, bind("0.0.0.0", ports[1]):
        listener.listen()
        with pytest.raises(portcheck.NoFreePort, match=r"none of 2 candidates can be held") as refused:
            portcheck.reserve(ports)
    assert [(found.port, found.cause) for found in refused.value.diagnoses] == [
        (ports[0], "listener"),
        (ports[1], "bound"),
    ]


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_the_ipv6_wildcard_takes_ipv4_clients_too() -> None:
    (port,) = candidates(1, "::")
    with portcheck.reserve([port], host="::") as held:
        held.listen()
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port)).close()


def test_a_name_is_held_at_its_first_address() -> None:
    (port,) = candidates(1)
    with portcheck.reserve([port], host="localhost") as held:
        first = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)[0][4][0]
        assert (held.host, held.socket.getsockname()[0]) == ("localhost", first)


def test_udp_is_held_too() -> None:
    (port,) = candidates(1)
    with portcheck.reserve([port], protocol="udp") as held:
        assert held.socket.type == socket.SOCK_DGRAM
        with bind("127.0.0.1", port):  # TCP, which does not conflict
            pass


@pytest.mark.parametrize("host", ["*", "lo"])
def test_one_socket_has_one_address(host: str) -> None:
    with pytest.raises(portcheck.UsageError, match="is not one address"):
        portcheck.reserve([8000], host=host)


def test_two_that_reserve_from_one_list_never_hold_the_same_port() -> None:
    """Two processes, fifty times each."""
    ports = candidates(2)
    program = (
        "import portcheck, socket, sys\n"
        "for _ in range(50):\n"
        f"    with portcheck.reserve({ports}) as held:\n"
        "        held.listen()\n"
        "        socket.create_connection(('127.0.0.1', held.port)).close()\n"
        "        name = held.socket.accept()[1]\n"
    )
    racers = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    for racer in racers:
        _, said = racer.communicate(timeout=60)
        assert (racer.returncode, said) == (0, b"")


def test_a_port_file_is_whole_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("of an earlier run")
    with (file := PortFile(str(path))):
        assert not path.exists()
        file.write(8001)
        assert path.read_text() == "8001\n"
        file.write(8002)
        assert path.read_text() == "8002\n"
    assert list(tmp_path.iterdir()) == []


def test_a_port_file_is_kept_for_a_command_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "port"
    with (file := PortFile(str(path))):
        file.write(8001)
        file.keep = True
    assert path.read_text() == "8001\n"


def test_a_port_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, code in (("file/port", errno.ENOTDIR), ("none/port", errno.ENOENT)):
        with (
            pytest.raises(PortcheckError, match=f"--port-file .*: {os.strerror(code)}"),
            PortFile(str(tmp_path / path)) as _,
        ):
            pass


def test_a_port_file_replaces_nothing_but_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "somewhere")
    for path in (tmp_path / "link", tmp_path, Path("/dev/null")):
        with pytest.raises(PortcheckError, match="is no regular file"), PortFile(str(path)) as _:
            pass
        assert path.is_symlink() or path.exists()
