"""The tables of /proc/net as text: read, cut short, odd, endless; why there is no sock_diag; what binds tell."""

from __future__ import annotations

import errno
import os
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("/proc/net is Linux's", allow_module_level=True)
if sys.byteorder != "little":
    pytest.skip("the lines below are a little-endian machine's", allow_module_level=True)

from support.scenes import diagnosis, listener, scene

from portcheck.diagnosis import v6only
from portcheck.model import OUTSIDE, Bind, PortRange, Row, Socket
from portcheck.observe.linux import procnet
from portcheck.observe.linux.without_sock_diag import reason

if TYPE_CHECKING:
    from portcheck.model import Family, Outcome, Protocol

HEADING = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENER = b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  1000        0 31415 1 0\n"
TIME_WAIT = b"   1: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:0000170C 00000000     0        0 0 3 0\n"
FIN_WAIT_2 = TIME_WAIT.replace(b" 06 ", b" 05 ")
LISTENER_6 = LISTENER.replace(b"0100007F", b"0" * 24 + b"01000000").replace(b"00000000:0000 ", b"0" * 32 + b":0000 ")
WILDCARD_6 = LISTENER_6.replace(b"0" * 24 + b"01000000", b"0" * 32)


def read(path: Path, text: bytes, family: Family = "ipv4", protocol: Protocol = "tcp") -> list[Socket | None]:
    path.write_bytes(text)
    return list(procnet.rows(str(path), protocol, family, None, listeners_alone=False))


def test_a_listener(tmp_path: Path) -> None:
    assert read(tmp_path / "tcp", HEADING + LISTENER) == [
        Socket("tcp", "ipv4", "127.0.0.1", 8080, state="LISTEN", uid=1000, queue=2, inode=31415)
    ]


def test_what_is_left_of_connections(tmp_path: Path) -> None:
    waiting, small = read(tmp_path / "tcp", HEADING + TIME_WAIT + FIN_WAIT_2)
    assert waiting
    assert (waiting.state, waiting.remote_port, waiting.pids, waiting.inode) == ("TIME-WAIT", 50000, (), 0)
    assert waiting.expires_in == 0x170C / os.sysconf("SC_CLK_TCK")
    assert small
    assert (small.state, small.minisocket, waiting.minisocket) == ("FIN-WAIT-2", True, False)


@pytest.mark.parametrize(
    ("line", "address", "only"),
    [(LISTENER_6, "::1", True), (WILDCARD_6, "::", None)],
)
def test_v6only_is_known_of_what_has_an_address(tmp_path: Path, line: bytes, address: str, only: bool | None) -> None:
    (seen,) = read(tmp_path / "tcp6", HEADING + line, "ipv6")
    assert seen
    assert (seen.local_address, seen.v6only) == (address, only)


def test_a_listener_without_an_inode_is_not_said_to_be_nobodys(tmp_path: Path) -> None:
    """Only another system, which plays Linux, writes such a line."""
    (seen,) = read(tmp_path / "tcp", HEADING + LISTENER.replace(b"31415", b"0"))
    assert seen
    assert (seen.inode, seen.pids) == (None, None)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"odd\n",
        LISTENER[:40],
        LISTENER.replace(b"1F90", b"11F90"),
        LISTENER.replace(b"1F90", b"+F90"),
        LISTENER.replace(b"0100007F", b"0100007"),
        LISTENER.replace(b"0100007F", b"\xff100007"),
        LISTENER.replace(b"31415", b"-1"),
        TIME_WAIT.replace(b"0000170C", b"F" * 400),
    ],
)
def test_an_odd_line_is_one_that_was_not_read(tmp_path: Path, line: bytes) -> None:
    assert read(tmp_path / "tcp", HEADING + LISTENER + line)[1:] == [None]


def tables(monkeypatch: pytest.MonkeyPatch, folder: Path, **texts: bytes) -> None:
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    monkeypatch.setattr(procnet, "_place", lambda name: str(folder / name))


def test_a_gap_is_told_and_nothing_is_free_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch, tmp_path, udp=HEADING + b"odd\n", udp6=HEADING)
    found = procnet.table("udp", None, "everything")
    assert (found.sees_bound_only, [spot.code for spot in found.blind_spots]) == (False, ["sockets-not-visible"])


def test_without_ipv6_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch, tmp_path, udp=HEADING)
    found = procnet.table("udp", None, "everything")
    assert (found.sees_bound_only, found.blind_spots) == (True, ())


def test_what_the_kernel_lists_twice_is_one_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch, tmp_path, tcp=HEADING + LISTENER + LISTENER.replace(b"   0:", b"   7:") + TIME_WAIT)
    assert len(procnet.table("tcp", None, "everything").sockets) == 2


@pytest.mark.parametrize("text", [b"", b"\n", b"no table\n" + LISTENER, HEADING + b"0" * 5000, b"0" * 200_000])
def test_what_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(OSError, match="is no table"):
        read(tmp_path / "tcp", text)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch, tmp_path, tcp6=HEADING)
    with pytest.raises(FileNotFoundError):
        procnet.table("tcp", None, "everything")


def test_only_so_much_is_read_and_the_line_that_is_cut_left_out(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_bytes(HEADING + LISTENER * 10)
    read_in_part = procnet.rows(
        str(tmp_path / "tcp"), "tcp", "ipv4", None, listeners_alone=True, at_most=len(HEADING + LISTENER) + 50
    )
    assert len(list(read_in_part)) == 1


def test_memory_does_not_grow_with_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = 50_000
    tables(monkeypatch, tmp_path, tcp=HEADING + LISTENER + TIME_WAIT.replace(b"1F90", b"1F91") * lines)
    tracemalloc.start()
    try:
        found = procnet.table("tcp", [PortRange(8080, 8080)], "everything")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.sockets) == 1
    assert most < len(TIME_WAIT) * lines / 4


cuts = st.integers(0, len(LISTENER))
odd_lines = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda at, new: LISTENER[:at] + new + LISTENER[at + len(new) :], cuts, st.binary(max_size=8)),
    st.builds(lambda at: TIME_WAIT[:at], cuts),
)


@given(st.lists(odd_lines, max_size=6), st.sampled_from(["ipv4", "ipv6"]), st.sampled_from(["tcp", "udp"]))
def test_any_text_is_read_or_refused(lines: list[bytes], family: Family, protocol: Protocol) -> None:
    descriptor = os.memfd_create("table")
    try:
        os.write(descriptor, HEADING + b"\n".join(lines))
        path = f"/proc/self/fd/{descriptor}"
        for seen in procnet.rows(path, protocol, family, None, listeners_alone=False):
            assert seen is None or 0 <= seen.local_port <= 65535
    except OSError as error:
        assert error.errno == errno.EBADMSG
    finally:
        os.close(descriptor)


# Why sock_diag is not to be had


@pytest.mark.parametrize(
    ("error", "release", "version", "words", "remedy"),
    [
        (errno.EOPNOTSUPP, "6.1.0", "#1 SMP Debian", "is not loaded", "modprobe tcp_diag udp_diag"),
        (errno.ENOENT, "6.1.0", "#1 SMP Debian", "is not loaded", "modprobe tcp_diag udp_diag"),
        (errno.EPERM, "6.1.0", "#1 SMP Debian", "is refused here, as sandboxes do", OUTSIDE),
        (errno.EACCES, "6.1.0", "#1 SMP Debian", "is refused here, as sandboxes do", OUTSIDE),
        (errno.EAFNOSUPPORT, "6.1.0", "#1 SMP Debian", "is refused here, as sandboxes do", OUTSIDE),
        (errno.EBADMSG, "6.1.0", "#1 SMP Debian", "cannot be read here", None),
        (errno.EPROTONOSUPPORT, "4.4.0-19041-Microsoft", "#1237-Microsoft", "WSL 1 has no", "in Windows itself"),
        (errno.EPERM, "5.15.90.1-microsoft-standard-WSL2", "#1 SMP", "is refused here", OUTSIDE),
        (errno.EPROTONOSUPPORT, "4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "gVisor has no", OUTSIDE),
        (errno.EAFNOSUPPORT, "5.15.0", "FreeBSD 14.1-RELEASE", "FreeBSD's Linux emulation has no", "in FreeBSD itself"),
    ],
)
def test_the_reason_is_told_apart(error: int, release: str, version: str, words: str, remedy: str | None) -> None:
    spot = reason(OSError(error, os.strerror(error)), release, version)
    assert spot.code == "netlink-refused"
    assert words in spot.message
    assert os.strerror(error) in spot.message
    assert (spot.remedy is None) == (remedy is None)
    assert (remedy or "") in (spot.remedy or "")


# What binds tell of v6only


def row(address: str, outcome: Outcome, *blocked_by: int) -> Row:
    bind = Bind(address, "ipv6" if ":" in address else "ipv4", None, None)
    return Row(bind, outcome, outcome, outcome, None, "probe", blocked_by, (), blocked_by, None)


UNKNOWN = listener("::", v6only=None)


@pytest.mark.parametrize(
    ("sockets", "rows", "learnt"),
    [
        ([UNKNOWN], [row("0.0.0.0", "free"), row("::", "in-use", 0)], True),
        ([UNKNOWN], [row("0.0.0.0", "in-use", 0), row("127.0.0.1", "in-use", 0)], False),
        ([UNKNOWN], [row("0.0.0.0", "in-use", 0), row("127.0.0.1", "free")], True),  # somebody else refuses the first
        ([UNKNOWN], [row("::ffff:127.0.0.1", "free")], True),
        ([UNKNOWN], [row("0.0.0.0", "denied")], None),
        ([UNKNOWN], [row("0.0.0.0", "unknown")], None),
        ([UNKNOWN], [row("::", "in-use", 0)], None),
        ([UNKNOWN, UNKNOWN], [row("0.0.0.0", "in-use", 0, 1)], None),  # one of them would be enough
        ([UNKNOWN, listener()], [row("0.0.0.0", "in-use", 1)], None),
    ],
)
def test_what_binds_tell_of_v6only(sockets: list[Socket], rows: list[Row], learnt: bool | None) -> None:
    told = v6only.told_by_binds(sockets, rows)
    assert [seen.v6only for seen in told if seen.local_address == "::"] == [learnt] * sockets.count(UNKNOWN)


def test_rules_alone_tell_nothing() -> None:
    by_rules = row("0.0.0.0", "free")._replace(method="rules")
    assert v6only.told_by_binds([UNKNOWN], [by_rules]) == (UNKNOWN,)


def test_nobody_is_said_to_answer_ipv4_where_that_is_not_known() -> None:
    found = diagnosis(scene(UNKNOWN._replace(pids=(1,))))
    answers = {answer.address: answer.pids for answer in found.answers}
    assert answers["127.0.0.1"] is None
    assert answers["::1"] == (1,)
