"""The rig itself, without portcheck: what the scenarios build on is really there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .machine import Machine

ROWS = """
import json, psutil
def row(c):
    return [c.laddr.ip, c.laddr.port, c.status, c.pid, psutil.Process(c.pid).name() if c.pid else None]
print(json.dumps([row(c) for c in psutil.net_connections("tcp")]))
"""

BIND = """
import socket
try:
    with socket.socket({family}) as s:
        {option}
        s.bind(({address!r}, {port}))
        print("bound")
except OSError as error:
    print(error.winerror)
"""

SERVICE = """
import json, psutil
service = psutil.win_service_get({name!r})
print(json.dumps([service.status(), service.pid()]))
"""


def rows(machine: Machine, port: int) -> list[list[Any]]:
    done = machine.python(ROWS)
    assert done.code == 0, done
    return [row for row in json.loads(done.stdout) if row[1] == port]


def bind(machine: Machine, address: str, port: int, option: str = "pass") -> str:
    family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
    code = BIND.format(family=family, option=option, address=address, port=port)
    done = machine.python(code)
    assert done.code == 0, done
    return done.lines()[0]


def test_python_is_windows_own_with_a_legacy_code_page(windows: Machine) -> None:
    asked = "sys.platform, sys.version_info[:3], sys.stdout.encoding, sys.flags.utf8_mode"
    assert windows.python(f"import sys; print({asked})").lines() == ["win32 (3, 11, 9) cp1252 0"]


def test_a_character_that_the_code_page_lacks_is_an_error(windows: Machine) -> None:
    done = windows.python(r"print('\u2713')")
    assert done.code == 1
    assert "UnicodeEncodeError: 'charmap' codec" in done.complaints()[-1]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 70, 124, 125, 126, 127, 130])
def test_exit_codes_come_through(windows: Machine, code: int) -> None:
    assert windows.python(f"raise SystemExit({code})").code == code


def test_psutil_names_the_listener(windows: Machine) -> None:
    with windows.holding("127.0.0.1") as holder:
        assert rows(windows, holder.port) == [["127.0.0.1", holder.port, "LISTEN", holder.pid, "Service.exe"]]
    assert rows(windows, holder.port) == []


def test_a_listener_can_be_without_a_visible_owner(windows: Machine) -> None:
    with windows.holding("127.0.0.1", option="unseen") as holder:
        assert rows(windows, holder.port) == [["127.0.0.1", holder.port, "LISTEN", 0, None]]


def test_a_bound_socket_is_in_no_table(windows: Machine) -> None:
    with windows.holding("127.0.0.1", option="bound") as holder:
        assert rows(windows, holder.port) == []
        assert bind(windows, "127.0.0.1", holder.port) == "10048"


@pytest.mark.parametrize(
    ("held", "option", "address", "expected"),
    [
        ("127.0.0.1", "seen", "127.0.0.1", "10048"),
        ("0.0.0.0", "seen", "0.0.0.0", "10048"),
        ("0.0.0.0", "exclusive", "0.0.0.0", "10013"),
        ("127.0.0.1", "seen", "127.0.0.2", "bound"),
        ("::1", "seen", "::1", "10048"),
        ("::1", "seen", "127.0.0.1", "bound"),
    ],
)
def test_a_plain_bind(windows: Machine, held: str, option: str, address: str, expected: str) -> None:
    with windows.holding(held, option=option) as holder:
        assert bind(windows, address, holder.port) == expected


def test_an_exclusive_bind_is_refused_beside_a_bound_socket(windows: Machine) -> None:
    exclusive = "s.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)"
    with windows.holding("127.0.0.1", option="bound") as holder:
        assert bind(windows, "0.0.0.0", holder.port) == "bound"
        assert bind(windows, "0.0.0.0", holder.port, exclusive) == "10048"


def test_an_address_of_another_host(windows: Machine) -> None:
    assert bind(windows, "192.0.2.1", 0) == "10049"


def test_10013_without_a_listener(windows: Machine, guarded_windows: Machine) -> None:
    assert rows(guarded_windows, 80) == []
    assert bind(guarded_windows, "0.0.0.0", 80) == "10013"
    assert bind(guarded_windows, "0.0.0.0", 1024) == "bound"
    assert bind(windows, "0.0.0.0", 80) == "bound"


def test_a_service_listens_under_its_own_pid(windows: Machine) -> None:
    with windows.serving("W3SVC", 80):
        status, pid = json.loads(windows.python(SERVICE.format(name="W3SVC")).stdout)
        assert status == "running"
        assert rows(windows, 80) == [["0.0.0.0", 80, "LISTEN", pid, "svchost.exe"]]
        assert windows.system("sc", "stop", "W3SVC").code == 0
        assert rows(windows, 80) == []


def test_netsh_prints_the_recorded_bytes(windows: Machine, tmp_path: Path) -> None:
    recorded = "Ausgeschlossene Portbereiche für\r\n".encode("cp850")
    (tmp_path / "int_ipv4_show_excludedportrange_protocol=tcp.txt").write_bytes(recorded)
    command = ("int", "ipv4", "show", "excludedportrange")
    env = {"NETSH_RECORDINGS": windows.path(tmp_path)}
    assert windows.system("netsh", *command, "protocol=tcp", env=env) == (0, recorded, b"")
    assert windows.system("netsh", *command, "protocol=udp", env=env) == (1, b"", b"")


def test_wines_own_netsh_says_nothing_and_exits_0(windows: Machine) -> None:
    done = windows.system("netsh", "http", "show", "servicestate", env=windows.wines_own("netsh.exe"))
    assert done == (0, b"", b"")
