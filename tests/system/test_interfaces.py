"""This host's addresses, and what the kernel itself holds, compared with what the kernel lets a socket do."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from support import real_sockets, seccomp
from support.namespaces import Host
from support.patience import wait_for
from support.processes import NOBODY, in_child

from portcheck.model import LocalAddress
from portcheck.observe import interfaces
from portcheck.observe.interfaces import addresses_told, is_local, local_addresses
from portcheck.observe.linux import addresses as without_netlink
from portcheck.observe.linux import kernel_ports, procfs, rtnetlink, sock_diag
from portcheck.observe.macos.backend import MacOS
from portcheck.observe.portable import addresses as portable_addresses

if sys.platform != "linux":
    pytest.skip("rtnetlink is Linux's", allow_module_level=True)

ADDRESSES = (
    "127.0.0.1", "127.3.3.3", "127.255.255.255", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0", "::1", "::2",
    "192.0.2.1", "192.0.2.0", "192.0.2.2", "192.0.2.255", "::ffff:192.0.2.1", "::ffff:192.0.2.2", "198.51.100.7",
    "203.0.113.1", "203.0.113.2", "224.0.0.5", "239.1.2.3", "240.0.0.1", "255.255.255.255", "0.0.0.9", "8.8.8.8",
    "2001:db8::1", "2001:db8::2", "2001:db8::", "2001:db8:77::5", "ff05::1", "fe80::99%v0", "fe80::98%v0",
    "fe80::99%lo",
)  # fmt: skip


@pytest.fixture
def namespace() -> Iterator[Host]:
    with (
        Host(["192.0.2.1/24", "2001:db8::1/64", "fe80::99/64"], devices=("v0", "v1"), duplicate_detection=True) as made,
        made.entered(),
    ):
        made.ip(
            "addr add 203.0.113.1 peer 203.0.113.2 dev v0",
            "route add local 198.51.100.0/24 dev lo",  # AnyIP
            "route add local 2001:db8:77::/64 dev lo",
        )
        yield made


def binds(address: str) -> bool:
    """What the kernel says to a UDP socket with this address (TCP may not have an IPv6 multicast address)."""
    text, _, zone = address.partition("%")
    with socket.socket(socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_DGRAM) as made:
        scope = (0, socket.if_nametoindex(zone)) if zone else ()
        try:
            made.bind((text, 0, *scope))
        except OSError as error:
            assert error.errno == errno.EADDRNOTAVAIL
            return False
    return True


def test_every_address_of_every_interface(namespace: Host) -> None:
    found = set(local_addresses())
    assert found >= {
        LocalAddress("127.0.0.1", "ipv4", "lo"),
        LocalAddress("::1", "ipv6", "lo"),
        LocalAddress("192.0.2.1", "ipv4", "v0"),
        LocalAddress("203.0.113.1", "ipv4", "v0"),  # and not its peer
        LocalAddress("2001:db8::1", "ipv6", "v0"),
        LocalAddress("fe80::99", "ipv6", "v0"),
    }
    assert {local.interface for local in found} == {"lo", "v0", "v1"}
    assert all(binds(str(local)) for local in found if not local.tentative)


def test_a_tentative_address_cannot_be_bound_yet(namespace: Host) -> None:
    # Detection that lasts longer than this test: many probes, far apart.
    Path("/proc/sys/net/ipv6/conf/v0/dad_transmits").write_text("100")
    namespace.ip("addr add 2001:db8::7/64 dev v0")
    (found,) = [local for local in local_addresses() if local.address == "2001:db8::7"]
    assert found.tentative
    assert not binds("2001:db8::7")
    assert is_local("2001:db8::7")


def test_a_duplicate_address_stays_tentative(namespace: Host) -> None:
    namespace.ip("addr add 2001:db8::1/64 dev v1")  # the other end of the same wire has it already

    def failed() -> bool:
        return "dadfailed" in namespace.run(["ip", "-6", "addr", "show", "dev", "v1"]).stdout

    wait_for(failed, "duplicate address detection fails")
    (found,) = [local for local in local_addresses() if str(local) == "2001:db8::1" and local.interface == "v1"]
    assert found.tentative


def test_psutil_knows_the_same_addresses(namespace: Host) -> None:
    assert {local._replace(tentative=False) for local in local_addresses()} == set(portable_addresses.addresses())


def test_without_netlink_the_same_addresses_are_told(namespace: Host) -> None:
    """As by systemd's RestrictAddressFamilies=: a real seccomp filter.  Some have labels of their own."""
    number = seccomp.numbers()["socket"]
    namespace.ip("addr add 192.0.2.9/24 dev v0 label v0:1")
    Path("/proc/sys/net/ipv6/conf/v0/dad_transmits").write_text("100")
    namespace.ip("addr add 2001:db8::7/64 dev v0")  # which stays tentative
    by_netlink = local_addresses()

    def refused() -> tuple[LocalAddress, ...]:
        seccomp.refuse(number, first=socket.AF_NETLINK)
        with pytest.raises(PermissionError):
            rtnetlink.addresses()
        return local_addresses()

    assert sorted(in_child(refused)) == sorted(by_netlink)
    assert any(local.tentative for local in by_netlink)


def test_where_no_socket_can_be_made_no_address_is_told(namespace: Host) -> None:
    number = seccomp.numbers()["socket"]

    def refused() -> tuple[LocalAddress, ...]:
        seccomp.refuse(number)
        with pytest.raises(PermissionError):
            local_addresses()
        return addresses_told()

    assert in_child(refused) == ()


@pytest.mark.parametrize("line", [b"odd", b"0 1 2 3 4 5", b"00 01 80 10 zz lo"])
def test_a_list_of_addresses_that_is_odd_is_refused(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(procfs, "read", lambda _: line + b"\n")
    with pytest.raises(OSError, match="cannot be understood"):
        without_netlink.addresses()


@pytest.mark.parametrize("address", ADDRESSES)
def test_local_is_what_can_be_bound(namespace: Host, address: str) -> None:
    assert is_local(address) == binds(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:db8::2"])
def test_everything_can_be_bound_where_the_host_says_so(namespace: Host, address: str) -> None:
    assert is_local(address) is binds(address) is False
    for family in ("ipv4", "ipv6"):
        Path(f"/proc/sys/net/{family}/ip_nonlocal_bind").write_text("1")
    assert is_local(address) is binds(address) is True


def test_an_ordinary_user_gets_the_same_answers(namespace: Host) -> None:
    answers = in_child(lambda: ([is_local(each) for each in ADDRESSES], local_addresses()), uid=NOBODY)
    assert answers == ([is_local(each) for each in ADDRESSES], local_addresses())


def test_an_interface_that_is_down_keeps_its_ipv4_address(namespace: Host) -> None:
    namespace.ip("link set v0 down")
    assert "192.0.2.1" in {local.address for local in local_addresses()}
    assert is_local("192.0.2.1") is binds("192.0.2.1") is True


def test_where_routes_cannot_be_asked_nobody_knows(namespace: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> NoReturn:
        raise PermissionError(errno.EPERM, "seccomp")

    monkeypatch.setattr(rtnetlink, "route_type", refused)
    assert is_local("198.51.100.7") is None
    assert is_local("192.0.2.1")


def test_what_is_no_address() -> None:
    assert is_local("localhost") is False


@pytest.mark.parametrize(("address", "answer"), [("127.9.9.9", None), ("192.0.2.77", False), ("127.0.0.1", True)])
def test_elsewhere_only_the_interfaces_tell(monkeypatch: pytest.MonkeyPatch, address: str, answer: bool | None) -> None:
    monkeypatch.setattr(interfaces, "BACK_END", MacOS())
    assert is_local(address) is answer


# What the kernel holds


def test_a_vxlan_device_holds_its_udp_port(namespace: Host) -> None:
    assert kernel_ports.kernel_owned() == {}
    namespace.ip("link add vx0 type vxlan id 5 dev v0 dstport 4789", "link set vx0 up")
    assert kernel_ports.kernel_owned() == {("udp", 4789): "VXLAN interface vx0"}
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        real_sockets.udp(4789, "0.0.0.0")
    (seen,) = sock_diag.dump("udp", None)
    assert (seen.local_port, bool(seen.inode)) == (4789, True)


def test_the_nfs_server_lists_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = b"rdma 20049\ntcp 2049\nudp 2049\ntcp 2050\nodd\n"
    monkeypatch.setattr(procfs, "read", {"fs/nfsd/portlist": ports}.get)
    monkeypatch.setattr(rtnetlink, "links", list)
    assert kernel_ports.kernel_owned() == {
        ("tcp", 2049): "NFS server (nfsd)",
        ("udp", 2049): "NFS server (nfsd)",
        ("tcp", 2050): "NFS server (nfsd)",
    }


def test_where_links_cannot_be_listed_nothing_is_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(rtnetlink, "links", refused)
    assert not [owner for owner in kernel_ports.kernel_owned().values() if "interface" in owner]
