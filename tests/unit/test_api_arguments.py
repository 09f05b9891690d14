"""What callers of the Python API can get wrong, and what its errors survive."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import portcheck
from portcheck import NoFreePort, UsageError, WaitFailed
from portcheck.waiting.loop import Waited

WRONG: list[Callable[[], Any]] = [
    lambda: portcheck.check(3000, protocol="sctp"),  # type: ignore[arg-type]
    lambda: portcheck.pick([8000], protocol="x"),  # type: ignore[arg-type]
    lambda: portcheck.wait(8000, protocol="x"),  # type: ignore[arg-type]
    lambda: portcheck.listeners(protocol="x"),  # type: ignore[arg-type]
    lambda: portcheck.listeners(ports=[70000]),
    lambda: portcheck.listeners(ports=["nosuchservice"]),
    lambda: portcheck.check("http://localhost:0/"),
    lambda: portcheck.wait("http://localhost/", status=20),
    lambda: portcheck.wait("http://localhost/", per_try=0),
    lambda: portcheck.wait(3000, status=200),
]


@pytest.mark.parametrize("call", WRONG)
def test_a_mistake_is_a_usage_error(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        call()


# One value, or a text, stands for a list of one; what is neither a number nor a text is none.
NO_PORTS: list[Any] = [b"8123", 8123.0, True, None, object()]
TAKING_MANY: dict[str, Callable[[Any], Any]] = {
    "targets": lambda value: portcheck.check_all(value, probe=False),
    "candidates": lambda value: portcheck.pick(value, host="127.0.0.1", lease=0),
    "exclude": lambda value: portcheck.pick("8123-8125", exclude=value, host="127.0.0.1", lease=0),
    "ports": lambda value: [*portcheck.listeners(ports=value)],
}


@pytest.mark.parametrize("value", NO_PORTS, ids=repr)
@pytest.mark.parametrize("argument", [*TAKING_MANY, "target", "reserve", "wait"])
def test_what_is_no_port_is_a_type_error_that_names_the_argument(argument: str, value: Any) -> None:
    if argument == "ports" and value is None:
        return  # its default: every port
    name = {"reserve": "candidates", "wait": "targets"}.get(argument, argument)
    others: dict[str, Callable[[Any], Any]] = {
        "target": portcheck.check, "reserve": portcheck.reserve, "wait": lambda value: portcheck.wait(value, timeout=0)
    }  # fmt: skip
    call = {**TAKING_MANY, **others}[argument]
    with pytest.raises(TypeError, match=rf"^{name}: .* not {type(value).__name__}$"):
        call(value)
    if argument not in ("target", "wait") and value is not None:
        with pytest.raises(TypeError, match=rf"^{name}: "):
            call([value])


def test_one_port_stands_for_a_list_of_one() -> None:
    answers = [[one.port for one in portcheck.check_all(value, probe=False)] for value in ("8123", 8123, ["8123"])]
    assert answers == [[8123]] * 3
    assert [one.port for one in portcheck.check_all("8123-8125", probe=False)] == [8123, 8124, 8125]


def test_picking_and_reserving_read_whole_texts() -> None:
    """`pick("8123")` once read it character by character, and gave 8."""
    candidates = "23000-23999"
    picked = portcheck.pick(candidates, lease=0)
    assert picked in range(23000, 24000)
    assert portcheck.pick(candidates, exclude=f"23000-{picked}", lease=0) > picked
    with portcheck.reserve(candidates) as held:
        assert held.port in range(23000, 24000)
        with pytest.raises(NoFreePort):
            portcheck.reserve(held.port)


@pytest.mark.parametrize(
    "error", [UsageError("what", "how"), NoFreePort("none", [], "more"), WaitFailed(Waited("timeout", (), 1.5))]
)
def test_an_error_reaches_another_process_whole(error: portcheck.PortcheckError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))
