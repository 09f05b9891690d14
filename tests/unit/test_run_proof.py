"""Whether it is the command's process that answers, judged from one look."""

from __future__ import annotations

import pytest
from support.scenes import NOON, diagnosis, listener, process, scene

from portcheck.model import Socket
from portcheck.run.launch import with_port
from portcheck.run.proof import Proof, prove

NODE = process(812, "node", parent_pid=800)
STRANGER = process(99, "python3", parent_pid=1)


def proof(*sockets: Socket, host: str | None = None, mine: tuple[int, ...] = (812,)) -> Proof:
    people = (NODE, STRANGER, process(813, "node", parent_pid=812))
    return prove(diagnosis(scene(*sockets, processes=people)), mine, host, "linux", NOON)


def mine(address: str, *pids: int, inode: int = 7) -> Socket:
    return listener(address, pids=pids or (812,), inode=inode)


def strangers(address: str) -> Socket:
    return listener(address, pids=(99,), inode=9)


@pytest.mark.parametrize(
    ("where", "host", "reached"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("0.0.0.0", None, "127.0.0.1"),
        ("::", None, "127.0.0.1"),
        ("::1", None, "::1"),
        ("192.0.2.7", None, "192.0.2.7"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
        ("192.0.2.7", "127.0.0.1", None),
        ("::1", "127.0.0.1", None),
    ],
)
def test_where_a_client_reaches_the_command(where: str, host: str | None, reached: str | None) -> None:
    found = proof(mine(where), host=host)
    assert found.server is not None
    assert (found.server.pid, found.address, found.strangers) == (812, reached, ())


def test_nobody_listens() -> None:
    assert proof() == Proof()
    assert proof(listener(state="BOUND", pids=(812,))).server is None


def test_a_stranger_is_no_proof() -> None:
    found = proof(strangers("0.0.0.0"))
    assert (found.server, found.address, found.hidden) == (None, None, False)
    assert len(found.strangers) == 1
    assert found.strangers[0].startswith("python3 (PID 99, root")
    assert "answers on 127.0.0.1" in found.strangers[0]


def test_a_stranger_on_another_address_is_named_with_the_addresses_that_lead_to_it() -> None:
    found = proof(mine("127.0.0.1"), strangers("::1"))
    assert (found.server and found.server.pid, found.address) == (812, "127.0.0.1")
    assert found.strangers[0].endswith(") answers on ::1, localhost")


def test_an_address_that_is_shared_with_a_stranger_is_not_reached() -> None:
    """Two SO_REUSEPORT sockets take turns."""
    found = proof(mine("127.0.0.1"), strangers("127.0.0.1"))
    assert (found.server and found.server.pid, found.address) == (812, None)
    assert found.strangers[0].endswith("answers on 127.0.0.1, localhost")


def test_workers_of_the_command_are_the_command() -> None:
    found = proof(mine("0.0.0.0", 812, 813), mine=(812, 813))
    assert (found.server and found.server.pid, found.address, found.strangers) == (812, "127.0.0.1", ())


def test_a_hidden_listener_proves_nothing() -> None:
    found = proof(listener("0.0.0.0", pids=None))
    assert (found.server, found.address, found.strangers, found.hidden) == (None, None, (), True)


def test_the_port_goes_into_the_arguments_and_other_braces_stay() -> None:
    command = ("serve", "--bind={host}:{port}", "{port}{port}", '{"a": 1}', "${PORT}", "{ports}")
    assert with_port(command, 8001, "::1") == (
        "serve", "--bind=::1:8001", "80018001", '{"a": 1}', "${PORT}", "{ports}",
    )  # fmt: skip
