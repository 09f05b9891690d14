"""Every row of an answer beside the kernel's own, in settings that a server may have.

`scripts/test-kernels` runs this on other kernels too, and on hosts with hidepid=2, with cgroups of version 1, and
where the modules of sock_diag cannot be loaded.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import real_sockets
from support.kernel_lab import Way, needs_lab
from support.namespaces import IPV6_SETTINGS, Host
from support.needs import need
from support.processes import NOBODY, held_by_child, in_child

from portcheck.api import check

if TYPE_CHECKING:
    from portcheck.model import Protocol

pytestmark = needs_lab

UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
PROTOCOLS: tuple[Protocol, Protocol] = ("tcp", "udp")
BOTH_PORTS = (80, 8000)
OUTCOMES = {
    errno.EADDRINUSE: "in-use",
    errno.EACCES: "denied",
    errno.EADDRNOTAVAIL: "not-available",
    errno.EAFNOSUPPORT: "unsupported",
}


class Setting(NamedTuple):
    """What is set up in a host's own network."""

    name: str
    prepare: Callable[[Host], object]
    ipv6: bool = True
    ports: tuple[int, ...] = (8000,)


def nothing(host: Host) -> None:
    """As it is."""


def vrf(host: Host) -> None:
    """A VRF with an interface of its own, which has an address."""
    try:
        host.ip("link add red type vrf table 10")
    except CalledProcessError:
        pytest.skip("this kernel has no VRF")
    host.ip(
        "link set red up", "link add w0 type veth peer name w1", "link set w0 master red", "link set w0 up",
        "link set w1 up", "address add 198.51.100.9/24 dev w0",
    )  # fmt: skip


def redirection(host: Host) -> None:
    need("nft")
    rules = (
        "add table ip nat",
        "add chain ip nat in { type nat hook prerouting priority -100; }",
        "add rule ip nat in tcp dport 8000 redirect to :9000",
    )
    done = host.run(["nft", "; ".join(rules)], check=False)
    if "Operation not supported" in done.stderr:
        pytest.skip("this kernel has no nf_tables for IPv4")
    assert done.returncode == 0, done.stderr


def written(path: Path, text: str) -> Callable[[Host], object]:
    return lambda _: path.write_text(text)


SETTINGS = (
    Setting("as usual", nothing, ports=BOTH_PORTS),
    Setting("bindv6only=1", written(Path("/proc/sys/net/ipv6/bindv6only"), "1")),
    Setting("disable_ipv6", nothing, ipv6=False),
    Setting("no privileged ports", written(UNPRIVILEGED, "0"), ports=BOTH_PORTS),
    Setting("more privileged ports", written(UNPRIVILEGED, "9000"), ports=BOTH_PORTS),
    Setting("VRF", vrf),
    Setting("nf_tables", redirection),
)
bound = partial(real_sockets.bound, reuseaddr=True)
listening = partial(real_sockets.listener, reuseaddr=True)
# Who is there already.
Layout = Callable[[int], object]
LAYOUTS: dict[str, Layout] = {
    "nobody": lambda _: None,
    "loopback": lambda port: listening(port, "127.0.0.1"),
    "every IPv4 address": lambda port: listening(port, "0.0.0.0"),
    "an interface": lambda port: listening(port, "192.0.2.7"),
    "every address": lambda port: listening(port, "::"),
    "every IPv6 address": lambda port: listening(port, "::", v6only=True),
    "both loopbacks": lambda port: [listening(port, "127.0.0.1"), listening(port, "::1")],
    "bound, without listening": lambda port: bound(port, "0.0.0.0"),
    "UDP": lambda port: real_sockets.udp(port, "127.0.0.1"),
    "on a device": lambda port: listening(port, "0.0.0.0", device="eth0"),
}
OF_IPV6 = ("every address", "every IPv6 address", "both loopbacks")
IN_A_VRF: dict[str, Layout] = {"in a VRF": lambda port: listening(port, "0.0.0.0", device="red")}


@pytest.mark.parametrize("uid", [0, NOBODY], ids=["root", "an ordinary user"])
@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.name for setting in SETTINGS])
def test_every_row_is_as_the_kernel_has_it(setting: Setting, uid: int, report: Callable[[str], None]) -> None:
    layouts = {**LAYOUTS, **(IN_A_VRF if setting.name == "VRF" else {})}
    wrong: list[str] = []
    compared: Counter[str] = Counter()
    with Host(ipv6=setting.ipv6) as host, host.entered():
        setting.prepare(host)
        check(8000)  # imports what that user may not be able to read
        for name, make in layouts.items():
            if name in OF_IPV6 and not IPV6_SETTINGS.exists():
                continue
            for port in setting.ports:
                try:
                    make(port)
                except OSError:
                    assert not host.ipv6  # no ::1
                asked = in_child(partial(ask, port), uid=uid)
                for protocol, result, kernel in asked:
                    wrong += [f"{name}, {protocol} {port}: {line}" for line in compare(result, kernel, compared)]
                real_sockets.close_all()
    report(f"settings, {setting.name}, uid {uid}: {compared.total()} rows, {dict(compared)}, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


Truths = Sequence[tuple[str, ...]]  # with SO_REUSEADDR, and without
Asked = tuple[str, dict[str, Any], Truths]


def ask(port: int) -> list[Asked]:
    """portcheck's answer, and then the kernel's to each of its rows: for a server with SO_REUSEADDR, and without."""
    answers: list[Asked] = []
    for protocol in PROTOCOLS:
        result = check(port, protocol=protocol).to_dict()
        kernel = [
            tuple(bound_as(row, port, protocol, reuseaddr=each) for each in (True, False)) for row in result["binds"]
        ]
        answers.append((protocol, result, kernel))
    return answers


def bound_as(row: dict[str, Any], port: int, protocol: str, *, reuseaddr: bool) -> str:
    address, _, zone = row["address"].partition("%")
    way = Way("udp" if protocol == "udp" else "tcp", address, bool(row["v6only"]), zone or None, reuseaddr)
    try:
        with closing(way.bind(port)):
            return "free"
    except OSError as error:
        return OUTCOMES.get(error.errno or 0, os.strerror(error.errno or 0))


def compare(result: dict[str, Any], kernel: Truths, compared: Counter[str]) -> list[str]:
    """What is not as the kernel has it: what is not known is no error, where it is said that something is not."""
    wrong = []
    for row, truths in zip(result["binds"], kernel, strict=True):
        for key, truth in zip(("with_reuseaddr", "without_reuseaddr"), truths, strict=True):
            said = row[key]
            compared["unknown" if said == "unknown" else truth] += 1
            asked_about = (key == "with_reuseaddr") == (result["protocol"] == "tcp")
            if said == "unknown":
                fine = not asked_about or not result["complete"]
            else:
                # a conflict that the table proves outranks the privilege that is missing too
                fine = said == truth or (said, truth) == ("in-use", "denied")
            if not fine:
                wrong.append(f"{key} of {row['address']} (v6only {row['v6only']}) said {said}, was {truth}")
            if asked_about and truth == "in-use" and result["verdict"] == "free":
                wrong.append(f"free, though {row['address']} is refused")
    return wrong


def hold_both(host: Host) -> None:
    """A server's sockets of both protocols."""
    listening(8000, "::" if host.ipv6 else "0.0.0.0")
    real_sockets.udp(8000)


def test_root_is_told_who_it_is(host: Host) -> None:
    with host.entered(), held_by_child(lambda: hold_both(host), uid=NOBODY) as child:
        for protocol in PROTOCOLS:
            answer = check(8000, protocol=protocol)
            assert (answer.verdict, [owner.pid for owner in answer.owners]) == ("in-use", [child.pid])


def test_an_ordinary_user_is_told_that_something_is_there_that_it_may_not_see(host: Host) -> None:
    with host.entered(), held_by_child(lambda: hold_both(host)) as child:
        check(8000)
        for protocol in PROTOCOLS:
            answer = in_child(partial(result_of, protocol), uid=NOBODY)
            assert answer["verdict"] == "in-use"
            assert child.pid not in [owner["pid"] for owner in answer["owners"]]
            assert answer["blind_spots"]


def result_of(protocol: Protocol) -> dict[str, Any]:
    return check(8000, protocol=protocol).to_dict()


def test_a_redirection_is_told(host: Host) -> None:
    redirection(host)
    with host.entered():
        assert "redirected" in [note.code for note in check(8000).notes]
