"""Every reader of what strangers write: whatever it is given, it ends soon, takes little, and raises nothing."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("most of it is Linux's", allow_module_level=True)

from portcheck.identify import cgroup, containers, launchd, systemd
from portcheck.identify.facts import Facts, ProjectFile
from portcheck.identify.project import MARKS, project
from portcheck.identify.who import who_is
from portcheck.model import PortRange, Process
from portcheck.observe.linux import (
    cgroups,
    folders,
    genetlink,
    mptcp,
    namespaces,
    packet_filter,
    policy,
    processes,
    procfs,
    rtnetlink,
    sock_diag,
    wireguard,
)
from portcheck.observe.linux.netlink import Netlink, messages
from portcheck.observe.portable import lsof, sockets
from portcheck.observe.windows import netsh

ANY_PORT = [PortRange(1, 65535)]
Reader = Callable[[bytes], object]


def text(read: Callable[[str], object]) -> Reader:
    """A reader of text, which comes from bytes as tools' answers and /proc's do."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def all_of(read: Callable[[Any], Iterable[object]]) -> Callable[[Any], object]:
    return lambda data: list(read(data))


def in_project(name: str) -> Reader:
    return lambda data: project((ProjectFile("/home/ann/shop", name, data),))


def command_line(data: bytes) -> object:
    command = processes.read_command(data)
    return who_is(Facts(Process(7, name=(command or ("",))[0][:15], command=command)))


def variables(data: bytes) -> object:
    return who_is(Facts(Process(7, name="node"), environment=processes.read_environment(data)))


# What strangers write to the length of a bound, by what reads it.
READERS: dict[str, Reader] = {
    "stat": procfs.read_stat,
    "stat, for its session": processes.read_session,
    "status": processes.real_uid,
    "cmdline": command_line,
    "environ": variables,
    "cgroup": processes.read_cgroup,
    "mountinfo": cgroups.find_hierarchy,
    "mountinfo, for a device": lambda data: folders.device_of(data, 7),
    "mountinfo, for all devices": folders.plain_devices,
    "fdinfo": folders.mount_id,
    "net/tcp of a namespace": lambda data: list(namespaces.read_table(data, namespaces.LISTEN)),
    "reserved ports": text(policy.parse_ranges),
    "iptables": text(lambda data: list(packet_filter.from_iptables(data.split("\n")))),
    "nft": text(all_of(packet_filter.from_nft)),
    "lsof": text(lambda data: lsof.read_fields(data, ANY_PORT, sockets.MACOS)),
    "netsh, excluded ports": text(netsh.excluded_ranges),
    "netsh, port proxy": text(netsh.port_proxies),
    "netsh, http": text(netsh.request_queues),
    "launchctl": text(lambda data: launchd.read_jobs(data, "system")),
    "docker inspect": text(lambda data: containers.read_inspected("docker", data)),
    "systemctl show": text(systemd.read_units),
    **{name: in_project(name) for name in MARKS},
}
# And what the kernel bounds to the length of a path.
OF_PATHS: dict[str, Reader] = {
    "a cgroup's path": text(cgroup.placement),
    "an escaped name": text(cgroup.unescape),
    "a long name": text(lambda data: processes.full_name(data[:15], (data,))),
}
# Words that lead a reader further than any bytes do.
WORDS = {
    "stat": b"7 (a) R 1 7 7 34816 0 4194304 0 0 0 0 0 0 0 0 20 0 1 0 9 0",
    "status": b"Name:\ta\nUid:\t0\t0\t0\t0\n",
    "cgroup": b"0::/system.slice/a.service\n",
    "mountinfo": b"30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n",
    "fdinfo": b"pos:\t0\nmnt_id:\t30\n",
    "net/tcp of a namespace": b"  0: 0100007F:1F90 00000000:0000 0A 0 0 0 0 0 7\n",
    "iptables": b'-A DOCKER -p tcp -m tcp --dport 80:90 -j DNAT --to-destination 172.17.0.2:80 --comment "a"\n',
    "lsof": b"p7\nu0\nLroot\nf3\ntIPv4\nPTCP\nn127.0.0.1:80->[::1]:99\nTST=LISTEN\n",
    "netsh, http": b"Request queue: a\n----\n  HTTP://+:80/\n  ID: 7, image: a\n",
    "launchctl": b"7\t0\tcom.example.a\n",
    "systemctl show": b"Id=a.socket\nListen=[::]:80 (Stream)\nActiveState=active\n\n",
    "pyproject.toml": b'[project]\nname = "a"\n',
    "go.mod": b"module a\n",
    "cmdline": b"/usr/bin/node\0--inspect\0-L\08080:db:5432\0",
    "environ": b"HOME=/root\0SSH_TTY=/dev/pts/1\0PM2_HOME=/\0",
}


@pytest.mark.parametrize("name", [*READERS, *OF_PATHS])
@given(data=st.data())
def test_any_bytes_can_be_read(name: str, data: st.DataObject) -> None:
    some = st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda read: read.encode("utf-8", "replace")))
    pieces = data.draw(st.lists(st.one_of(some, st.just(WORDS.get(name, b"")), st.sampled_from(FRAGMENTS)), max_size=6))
    {**READERS, **OF_PATHS}[name](b"".join(pieces))


FRAGMENTS = (
    b"\n", b"a\n", b"a.", b"[", b"{", b'{"a":', b"0", b"1,", b":", b" ", b"\0", b"a\0", b"-a\0", b"/", b"-", b"=",
    b'"', b"\\x2d", b"\x0b\x0c\x1c\r\xe2\x80\xa8", b"\xff", b"system.slice/", b"ssh -L 1:a:1\0", b"\n\n", b"p1\nf\n",
)  # fmt: skip


@pytest.mark.parametrize("name", [*READERS, *OF_PATHS])
def test_as_much_as_is_read_takes_little(name: str) -> None:
    """Nothing of it is quadratic, in time or in memory."""
    read, most = (READERS[name], 1 << 16) if name in READERS else (OF_PATHS[name], 4096)
    for fragment in (*FRAGMENTS, *filter(None, [WORDS.get(name)])):
        data = (fragment * most)[:most]
        before = time.process_time()
        read(data)
        took = time.process_time() - before
        assert took < 0.3, (fragment, took)  # it takes a few milliseconds; a busy machine gets ten times that
        if took > 0.003:  # only what takes long can take much
            assert _peak(read, data + b" ") < 20 << 20, fragment


def _peak(read: Reader, data: bytes) -> int:
    tracemalloc.start()
    try:
        read(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from((
            "nftables", "rule", "expr", "match", "left", "right", "payload", "protocol", "field", "op", "dnat", "a",
            "redirect", "addr", "port", "range", "set", "Config", "HostConfig", "RestartPolicy", "Labels", "Name", "Id",
            "NetworkSettings", "Ports", "80/tcp", "HostIp", "HostPort", "name", "Label", "Sockets", "SockServiceName",
        )),
        inner,
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(documents)
def test_any_document_can_be_read(document: Any) -> None:
    """JSON that is none of what its tool writes."""
    told = json.dumps(document)
    list(packet_filter.from_nft(told))
    containers.read_inspected("docker", told)
    containers.read_inspected("podman", f"[{told}]")
    in_project("package.json")(told.encode())
    if isinstance(document, dict):
        launchd.read_sockets(document)


@given(documents)
def test_any_rule_can_be_read(expression: Any) -> None:
    rule = {"nftables": [{"rule": {"expr": [{"dnat": {"addr": "192.0.2.1", "port": 80}}, {"match": expression}]}}]}
    list(packet_filter.from_nft(json.dumps(rule)))
    list(packet_filter.from_nft(json.dumps({"nftables": [{"rule": {"expr": [expression, {"redirect": expression}]}}]})))
    containers.read_inspected("docker", json.dumps([{"NetworkSettings": {"Ports": {"80/tcp": expression}}}]))


# Netlink: whatever a kernel answers, OSError is all that comes of it.


class OddKernel:
    """A netlink socket that answers every request with these payloads, as one datagram."""

    def __init__(self, payloads: Iterable[bytes]) -> None:
        self._payloads = payloads

    def send(self, request: bytes) -> None:
        number = request[8:12]
        self._answer = b"".join(
            (16 + len(payload)).to_bytes(4, sys.byteorder) + b"\x14\0\2\0" + number + bytes(4) + payload
            + bytes(-len(payload) % 4)
            for payload in self._payloads
        ) + (20).to_bytes(4, sys.byteorder) + b"\x03\0\2\0" + number + bytes(8)  # fmt: skip

    def recvmsg(self, size: int) -> tuple[bytes, list[object], int, None]:
        return self._answer[:size], [], 0, None

    def close(self) -> None:
        pass


PARSERS: dict[str, Callable[[bytes], object]] = {
    "tcp": sock_diag.reader("tcp"),
    "udp": sock_diag.reader("udp"),
    "addresses": rtnetlink.read_address,
    "links": rtnetlink.read_link,
    "routes": rtnetlink.read_route_type,
    "VRFs": rtnetlink.read_vrf_member,
    "a family": genetlink.read_family,
    "MPTCP endpoints": mptcp.read_endpoint,
    "a device": wireguard.read_listen_port,
}


@pytest.mark.parametrize("name", PARSERS)
@given(payloads=st.lists(st.binary(max_size=120), max_size=4))
def test_any_kernel_may_answer(name: str, payloads: list[bytes]) -> None:
    link = Netlink.__new__(Netlink)
    link._sequence, link._socket = 0, OddKernel(payloads)  # type: ignore[assignment]
    for ask in (link.dump, link.request):
        try:
            ask(20, b"", PARSERS[name])
        except OSError:
            continue


@given(st.binary(max_size=400))
def test_any_datagram_may_come(data: bytes) -> None:
    try:
        list(messages(data, 1))
    except OSError:
        return
