"""Microsoft's table, "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", cell by cell; not run on a real Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.model import BindRequest, Socket
from portcheck.rules import predict, windows

if TYPE_CHECKING:
    from portcheck.rules.windows import Options, Result, Scope

# Down: how the first socket was bound.  Across: how the second is.  W: the wildcard, S: the same specific address.
# U is WSAEADDRINUSE (10048), A is WSAEACCES (10013).
SAME_USER = """
             default-W default-S reuse-W reuse-S exclusive-W exclusive-S
default-W    U         OK        A       OK      U           OK
default-S    OK        U         OK      A       U           U
reuse-W      U         OK        OK      OK      U           OK
reuse-S      OK        U         OK      OK      U           U
exclusive-W  U         A         A       A       U           A
exclusive-S  OK        U         OK      A       U           U
"""
OTHER_USER = """
             default-W default-S reuse-W reuse-S exclusive-W exclusive-S
default-W    U         A         A       A       U           A
default-S    OK        U         OK      A       U           U
reuse-W      U         A         OK      OK      U           A
reuse-S      OK        U         OK      OK      U           U
exclusive-W  U         A         A       A       U           A
exclusive-S  OK        U         OK      A       U           U
"""
RESULTS: dict[str, Result] = {"OK": "ok", "U": "WSAEADDRINUSE", "A": "WSAEACCES"}
ADDRESSES = {"W": "0.0.0.0", "S": "127.0.0.1"}
WAYS = SAME_USER.split("\n")[1].split()


def cells(table: str) -> dict[tuple[str, str], Result]:
    first, *rows = table.strip().split("\n")
    return {
        (row.split()[0], second): RESULTS[word]
        for row in rows
        for second, word in zip(first.split(), row.split()[1:], strict=True)
    }


def way(text: str) -> tuple[Options, Scope]:
    options, _, scope = text.partition("-")
    return options, "wildcard" if scope == "W" else "specific"  # type: ignore[return-value]


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize(("table", "same_user"), [(SAME_USER, True), (OTHER_USER, False)], ids=["same", "other"])
def test_every_cell(table: str, *, same_user: bool, first: str, second: str) -> None:
    assert windows.result(way(first), way(second), same_user=same_user) == cells(table)[first, second]


def asked(text: str, uid: int = 1) -> BindRequest:
    options, _, scope = text.partition("-")
    return BindRequest(
        "tcp", "ipv4", ADDRESSES[scope], 80, reuseaddr=options == "reuse", uid=uid, exclusive=options == "exclusive"
    )


def held(text: str, *, reuseaddr: bool | None, uid: int | None = 1) -> Socket:
    return Socket("tcp", "ipv4", ADDRESSES[text[-1]], 80, state="LISTEN", reuseaddr=reuseaddr, uid=uid)


@pytest.mark.parametrize("scope", ["W", "S"])
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("uid", [1, 2, None])
@pytest.mark.parametrize("reuseaddr", [True, False, None])
def test_an_answer_is_certain_where_every_way_to_have_bound_it_agrees(
    scope: str, second: str, uid: int | None, *, reuseaddr: bool | None
) -> None:
    options = {True: ["reuse"], False: ["default", "exclusive"], None: ["default", "reuse", "exclusive"]}[reuseaddr]
    tables = {1: [SAME_USER], 2: [OTHER_USER], None: [SAME_USER, OTHER_USER]}[uid]
    possible = {cells(table)[f"{one}-{scope}", second] != "ok" for one in options for table in tables}
    found = windows.conflict(asked(second), held(scope, reuseaddr=reuseaddr, uid=uid))
    assert found == (possible.pop() if len(possible) == 1 else None)


@pytest.mark.parametrize("second", WAYS)
def test_whatever_lets_two_bind_is_told_as_sharing_clients(second: str) -> None:
    """The first one's clients are never quietly given to a second."""
    for scope in "WS":
        found = predict(asked(second), [held(scope, reuseaddr=None)], "windows")
        assert found.shadows == (() if found.blocked_by else (0,))


@given(st.sampled_from(("127.0.0.1", "192.0.2.7", "::1", "fd00::7")), st.sampled_from(WAYS))
def test_two_specific_addresses_never_meet(other: str, second: str) -> None:
    new = asked(second)._replace(address="127.0.0.2")
    old = held("S", reuseaddr=None)._replace(local_address=other, family="ipv6" if ":" in other else "ipv4")
    assert windows.conflict(new, old) is False
    assert not windows.shadows(new, old)


@pytest.mark.parametrize(
    ("v6only", "old", "meet"),
    [(False, "0.0.0.0", True), (False, "127.0.0.1", True), (True, "0.0.0.0", False), (True, "::1", True),
     (None, "0.0.0.0", False)],
)  # fmt: skip
def test_a_dual_stack_bind_meets_both_stacks(old: str, *, v6only: bool | None, meet: bool) -> None:
    """Windows sets IPV6_V6ONLY unless told otherwise."""
    new = BindRequest("tcp", "ipv6", "::", 80, v6only)
    there = held("S", reuseaddr=False)._replace(local_address=old, family="ipv6" if ":" in old else "ipv4")
    assert windows.shadows(new, there) is meet


def test_time_wait_stops_only_who_wants_the_port_alone() -> None:
    old = held("S", reuseaddr=None)._replace(state="TIME-WAIT", remote_address="127.0.0.1", remote_port=9)
    found = {second: windows.conflict(asked(second), old) for second in ("default-S", "reuse-S", "exclusive-S")}
    assert found == {"default-S": False, "reuse-S": False, "exclusive-S": None}
    assert windows.conflict(asked("default-S"), old._replace(state="ESTABLISHED")) is None
    assert not windows.shadows(asked("default-W"), old)  # nobody new reaches a connection
