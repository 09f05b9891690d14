"""Every example of docs/verify.md that says what goss or testinfra say, against real sockets: right and wrong ones."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.namespaces import Host
from support.real_sockets import close_all, keep

from portcheck import exit_codes
from portcheck.preflight.judge import Project
from portcheck.preflight.portcheck_toml import read_own
from portcheck.verification.survey import verify

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
EXAMPLES = re.findall(r"```toml\n(# (?:goss|testinfra): .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
# The sockets of a host on which each check passes, in the order of the page; a `u` before UDP's.
RIGHT = (
    ("0.0.0.0:80",),
    ("0.0.0.0:22", ":::22"),
    ("0.0.0.0:22", ":::22"),
    ("127.0.0.1:8000", "0.0.0.0:80", "0.0.0.0:443"),
    ("127.0.0.1:8601", "0.0.0.0:8500"),
    ("127.0.0.1:5300", "u127.0.0.1:5300"),
    (":::80",),
    ("u127.0.0.1:323", "0.0.0.0:22"),
    ("u239.0.0.1:5405",),
    ("u0.0.0.0:1514",),
    ("192.0.2.7:5601",),
)
STRAY = "0.0.0.0:1515"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as made:
        yield made


@contextmanager
def called(name: str) -> Iterator[None]:
    """This process has another name, as its kernel tells it."""
    comm = Path("/proc/self/comm")
    before = comm.read_text()
    comm.write_text(name)
    try:
        yield
    finally:
        comm.write_text(before)


def code(host: Host, example: str, folder: Path, *places: str) -> int:
    """What `verify --only` says of an example on a host with these sockets, which this process holds."""
    file = folder / "portcheck.toml"
    file.write_text(example)
    with host.entered(), called("nginx"):
        for place in places:
            address, _, port = place.removeprefix("u").rpartition(":")
            made = socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_DGRAM if place[0] == "u" else socket.SOCK_STREAM,
            )
            if ":" in address:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            keep(made).bind((address, int(port)))
            if place[0] != "u":
                made.listen()
        report = verify(read_own(file), Project(), folder, only=True)
        close_all()
    return exit_codes.of_verify(report.answers(strict=True))


def test_each_example_has_its_sockets() -> None:
    assert len(EXAMPLES) == len(RIGHT) >= 10


@pytest.mark.parametrize(
    ("example", "right"), list(zip(EXAMPLES, RIGHT, strict=True)), ids=[str(each) for each in range(len(RIGHT))]
)
def test_as_it_should_be_and_as_it_should_not(host: Host, tmp_path: Path, example: str, right: tuple[str, ...]) -> None:
    assert code(host, example, tmp_path, *right) == exit_codes.DONE
    assert code(host, example, tmp_path, *right[1:]) == exit_codes.NOT_FREE  # one is missing
    assert code(host, example, tmp_path, *right, STRAY) == exit_codes.NOT_FREE
    moved = right[0].replace("0.0.0.0", "127.0.0.1") if "0.0.0.0" in right[0] else right[0].replace(":::", "::1:")
    if moved != right[0]:  # on loopback alone
        assert code(host, example, tmp_path, moved, *right[1:]) == exit_codes.NOT_FREE
