"""What netsh prints, in several languages, as recorded texts (fixtures/windows/README.md tells where they are from)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.identify.windows import PortProxy
from portcheck.model import PortPolicy, PortRange
from portcheck.observe import subprocesses
from portcheck.observe.subprocesses import Answer, NoAnswerError
from portcheck.observe.windows import netsh as netsh_tables
from portcheck.observe.windows.netsh import excluded_ranges, port_proxies, request_queues
from portcheck.traits import TRAITS

FIXTURES = Path(__file__).parent / "fixtures" / "windows"


def recorded(name: str) -> str:
    """As `observe.asking` decodes it: a console's code page is not known, and its letters do not matter."""
    return (FIXTURES / name).read_bytes().decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        ("excluded-english.txt", [(5357, 5357), (6897, 6996), (49673, 49772)]),
        ("excluded-chinese.txt", [(1607, 1706), (2380, 2479), (54235, 54235)]),
        ("excluded-chinese-empty.txt", []),
        ("excluded-spanish.txt", [(1025, 1124), (25313, 25412), (50000, 50059)]),
        ("excluded-german.cp850", [(6200, 6299)]),
    ],
)
def test_excluded_ranges_in_any_language(name: str, ranges: list[tuple[int, int]]) -> None:
    assert excluded_ranges(recorded(name)) == tuple(PortRange(*ends) for ends in ranges)


@pytest.mark.parametrize("text", ["", "\r\n", "Access is denied.\r\n", "The following command was not found: int.\n"])
def test_what_is_no_table_is_not_an_empty_one(text: str) -> None:
    assert excluded_ranges(text) is None
    assert request_queues(text) is None


@given(st.text())
def test_any_text_is_read_or_not_known(text: str) -> None:
    assert all(first >= 0 and last >= 0 for first, last in excluded_ranges(text) or ())
    assert all(isinstance(rule, PortProxy) for rule in port_proxies(text))
    assert all(pid >= 0 for queue in request_queues(text) or () for pid in queue.pids)


def test_queues_in_the_older_form() -> None:
    winrm, iis = request_queues(recorded("queues-server-2012.txt")) or ()
    assert (winrm.name, winrm.pids, sorted(winrm.ports)) == (None, (944,), [5985, 47001])
    assert (iis.name, iis.pids, sorted(iis.ports)) == ("DefaultAppPool", (3248,), [80, 443])


def test_queues_in_the_newer_form() -> None:
    agent, monitor = request_queues(recorded("queues-windows-11.txt")) or ()
    assert (agent.pids, sorted(agent.ports)) == ((2688,), [443])
    assert (monitor.pids, sorted(monitor.ports)) == ((4796,), [8000])


def test_a_pool_without_a_worker_still_names_its_controller() -> None:
    (idle,) = request_queues(recorded("queues-iis-idle.txt")) or ()
    assert (idle.pids, sorted(idle.ports)) == ((), [8000])
    assert 3408 in idle.numbers


def test_a_full_width_colon_is_a_colon() -> None:
    text = recorded("queues-iis-idle.txt").replace("Request queue name:", "请求队列名称\uff1a")
    assert [queue.name for queue in request_queues(text) or ()] == ["DefaultAppPool"]


def test_port_proxies_of_every_direction() -> None:
    assert port_proxies(recorded("portproxy.txt")) == (
        PortProxy("v4tov4", "0.0.0.0", 2222, "172.23.21.232:22"),
        PortProxy("v4tov4", "*", 1024, "192.168.198.200:1024"),
        PortProxy("v4tov6", "127.0.0.1", 8080, "[::1]:80"),
    )


def test_port_proxies_in_german() -> None:
    assert port_proxies(recorded("portproxy-german.txt")) == (PortProxy("v4tov4", "0.0.0.0", 2201, "172.20.144.5:22"),)


class Netsh:
    """A netsh that has these answers, by its arguments, and no others."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, argv: tuple[str, ...], patience: object) -> Answer:
        self.asked.append(argv)
        for words, text in self.answers.items():
            if set(words.split("_")) <= set(argv):
                return Answer(True, text, "")
        return Answer(False, "", "The following command was not found.")


def test_exclusions_of_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    netsh = Netsh(ipv4=recorded("excluded-english.txt"), ipv6=recorded("excluded-chinese.txt"))
    monkeypatch.setattr(netsh_tables, "ask", netsh)
    policy = netsh_tables.with_exclusions(PortPolicy(), ("tcp",), ("ipv4", "ipv6"))
    assert policy.exclusions == {"tcp": True}
    assert {(found.family, found.ports.first) for found in policy.excluded} >= {("ipv4", 6897), ("ipv6", 1607)}
    assert all("protocol=tcp" in argv for argv in netsh.asked)


@pytest.mark.parametrize("ipv6", ["", "Zugriff verweigert"])
def test_one_list_that_cannot_be_read_leaves_the_whole_unknown(ipv6: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netsh_tables, "ask", Netsh(ipv4=recorded("excluded-english.txt"), ipv6=ipv6))
    policy = netsh_tables.with_exclusions(PortPolicy(), ("tcp", "udp"), ("ipv4", "ipv6"))
    assert policy.exclusions == {"tcp": False, "udp": False}
    assert len(policy.excluded) == 6, "what is known counts all the same"


def test_a_netsh_that_cannot_be_run_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: object, patience: object) -> Answer:
        raise NoAnswerError("cannot be run")

    monkeypatch.setattr(netsh_tables, "ask", refuse)
    assert netsh_tables.with_exclusions(PortPolicy(), ("udp",), ("ipv4",)).exclusions == {"udp": False}
    assert netsh_tables.queues() is None
    assert netsh_tables.proxy_rules() == ()


def test_it_is_windows_own_netsh_that_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    netsh = Netsh()
    monkeypatch.setattr(netsh_tables, "ask", netsh)
    monkeypatch.setenv("SYSTEMROOT", "/windows")
    netsh_tables.queues()
    assert netsh.asked == [("/windows/System32/netsh.exe", "http", "show", "servicestate", "view=requestq")]


def test_no_tool_is_taken_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Windows would look first."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "docker.exe").touch(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", f".{os.pathsep}{tmp_path / 'there'}")
    expected = str(tmp_path / "there" / "docker.exe")
    with monkeypatch.context() as windows:
        windows.setattr(subprocesses, "HERE", TRAITS["windows"])
        found = subprocesses.path_of("docker")
        windows.setenv("PATH", ".")
        with pytest.raises(NoAnswerError, match="is not on the PATH"):
            subprocesses.ask(("docker",), subprocesses.Patience(1))
    assert found == expected
