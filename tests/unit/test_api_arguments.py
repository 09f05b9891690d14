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
    lambda: portcheck.wait("http://localhost/", try_timeout=0),
    lambda: portcheck.wait(3000, status=200),
]


@pytest.mark.parametrize("call", WRONG)
def test_a_mistake_is_a_usage_error(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        call()


@pytest.mark.parametrize(
    "error", [UsageError("what", "how"), NoFreePort("none", [], "more"), WaitFailed(Waited("timeout", (), 1.5))]
)
def test_an_error_reaches_another_process_whole(error: portcheck.PortcheckError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))
