"""When `stop` diagnoses a port again while it waits, and when the short table of sockets is enough."""

from __future__ import annotations

import pytest
from support.examples import diagnosis as blank
from support.scenes import diagnosis, endpoint, listener, scene

from portcheck.model import Diagnosis, Socket
from portcheck.stop import watch
from portcheck.stop.watch import Watch

HELD = listener("127.0.0.1", 8000, inode=7)
ANOTHER = HELD._replace(inode=8)
UDP = Socket("udp", "ipv4", "127.0.0.1", 8000, inode=7, pids=(382,))


class Machine:
    """What the kernel's table shows, and how often the port was diagnosed."""

    def __init__(self, *sockets: Socket) -> None:
        self.table = list(sockets)
        self.diagnosed = 0

    def listening_or_bound(self, _: object) -> list[Socket]:
        return self.table

    def checks(self, _: object) -> list[Diagnosis]:
        self.diagnosed += 1
        return [diagnosis(scene(*self.table), endpoint(8000, self.table[0].protocol)) if self.table else blank(8000)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(HELD)
    monkeypatch.setattr(watch, "listening_or_bound", made.listening_or_bound)
    monkeypatch.setattr(watch, "checks", lambda endpoints: iter(made.checks(endpoints)))
    return made


def times_diagnosed(machine: Machine, *tables: list[Socket]) -> int:
    """How often, where each of the tables is glanced at in turn, after the first look."""
    observed = Watch(endpoint(8000))
    before = machine.diagnosed
    for table in tables:
        machine.table = table
        observed.glance()
    return machine.diagnosed - before


def test_the_same_sockets_need_no_second_diagnosis(machine: Machine) -> None:
    busier = HELD._replace(queue=100)
    assert times_diagnosed(machine, [HELD], [busier], [HELD]) == 0


def test_nor_does_a_port_that_stays_free(machine: Machine) -> None:
    assert times_diagnosed(machine, [], [], []) == 1


@pytest.mark.parametrize(
    "table",
    [[], [ANOTHER], [HELD, ANOTHER], [HELD._replace(state="BOUND")]],
    ids=["gone", "replaced", "joined", "bound"],
)
def test_a_change_is_diagnosed_once(machine: Machine, table: list[Socket]) -> None:
    assert times_diagnosed(machine, table, table) == 1


def test_a_server_that_is_started_again_is_diagnosed(machine: Machine) -> None:
    watched = Watch(endpoint(8000))
    machine.table = []
    assert watched.glance().verdict == "free"
    machine.table = [ANOTHER]
    assert watched.glance().verdict == "in-use"
    assert watched.diagnosis.sockets[0].inode == 8


def test_sockets_without_inodes_are_diagnosed_every_time(machine: Machine) -> None:
    """As psutil lists them on Windows and macOS: the next server's socket would look the same."""
    machine.table = [HELD._replace(inode=None)]
    assert times_diagnosed(machine, *[machine.table] * 3) == 3


def test_a_holder_that_the_table_does_not_show_is_diagnosed_every_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is bound without listening, before Linux 6.8."""
    monkeypatch.setattr(watch, "listening_or_bound", lambda _: [])
    assert times_diagnosed(machine, *[[HELD]] * 3) == 3


def test_a_client_that_the_table_does_not_show_is_no_holder(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = HELD._replace(state="ESTABLISHED", remote_address="127.0.0.1", remote_port=9)
    machine.table = [connection]
    monkeypatch.setattr(watch, "listening_or_bound", lambda _: [])
    assert times_diagnosed(machine, *[[connection]] * 3) == 0


def test_udp_is_watched_in_the_same_way(machine: Machine) -> None:
    machine.table = [UDP]
    assert times_diagnosed(machine, [UDP], [UDP._replace(inode=9)], []) == 2


def test_what_changes_during_a_look_is_diagnosed_at_the_next_glance(machine: Machine) -> None:
    def checks(_: object) -> list[Diagnosis]:
        machine.table = [ANOTHER]  # after the table was read
        return [blank(8000)]

    watched = Watch(endpoint(8000))
    machine.checks, usual = checks, machine.checks  # type: ignore[method-assign]
    machine.table = []
    assert watched.glance().verdict == "free"
    machine.checks = usual  # type: ignore[method-assign]
    assert watched.glance().verdict == "in-use"


def test_a_look_is_always_a_diagnosis(machine: Machine) -> None:
    watched = Watch(endpoint(8000))
    watched.look()
    watched.look()
    assert machine.diagnosed == 3
