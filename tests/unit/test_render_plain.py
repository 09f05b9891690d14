"""The exact text of the face for pipes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given, settings
from support.examples import (
    ANY4,
    DUAL,
    ETHERNET4,
    EVERY_BIND,
    HOSTILE,
    LOOPBACK4,
    LOOPBACK6,
    STARTED,
    diagnosis,
    free,
    hostile,
    httpd_everywhere,
    listener,
    node_on_loopback,
    taken,
    time_wait,
    two_owners,
    unknown_owner,
    with_a_udp_note,
)
from support.generated import diagnoses

from portcheck.model import Advice, Answer, Bind, Diagnosis, Owner, Process, Row, Socket
from portcheck.render import plain
from portcheck.text import local

SINCE = local(STARTED)


def told(diagnosis: Diagnosis, *, verbose: bool = False) -> str:
    return "\n".join(plain.check(diagnosis, verbose=verbose))


def after_the_message(diagnosis: Diagnosis, *, verbose: bool = False) -> list[str]:
    message, *rest = plain.check(diagnosis, verbose=verbose)
    assert message == diagnosis.message
    return rest


def test_free_is_one_line() -> None:
    assert told(diagnosis(8000)) == "Port 8000 is free on every IPv4 and IPv6 address."


def test_one_server_everywhere() -> None:
    assert after_the_message(httpd_everywhere()) == [
        f"  owner: httpd (PID 382, root, since {SINCE}): /usr/sbin/httpd -k start",
        f"  owner: httpd (PID 390 and 9 more, www-data, since {SINCE}): /usr/sbin/httpd -k start",
        "  → Stop the service.",
        "      sudo systemctl stop apache2.service",
    ]


def test_rows_that_differ_are_told_by_their_fate() -> None:
    assert after_the_message(node_on_loopback()) == [
        f"  owner: node (PID 812, bo, since {SINCE}): node server.js",
        "  in-use on 0.0.0.0, :: (dual-stack), 127.0.0.1: node (PID 812)",
        "  free on :: (IPv6 only), ::1, 192.0.2.7, fe80::1%eth0",
        "  → Stop it where it runs (tmux 0) with Ctrl-C, or end it.",
        "      kill 812",
    ]


def test_two_owners_and_who_answers_where() -> None:
    assert after_the_message(two_owners()) == [
        r"  owner: Service.exe (PID 5444, SYSTEM): C:\S\Service.exe",
        "  owner: docker-proxy (PID 6001, root)",
        "  in-use on 0.0.0.0, 127.0.0.1: Service.exe (PID 5444)",
        "  in-use on :: (IPv6 only), ::1: docker-proxy (PID 6001)",
        "  in-use on :: (dual-stack): Service.exe (PID 5444), docker-proxy (PID 6001)",
        "  clients of 127.0.0.1 reach Service.exe (PID 5444)",
        "  clients of ::1, localhost reach docker-proxy (PID 6001)",
        "  clients of 192.0.2.7 reach nobody",
    ]


def test_time_wait() -> None:
    assert after_the_message(time_wait()) == ["  → Set SO_REUSEADDR in the server, or wait 55 s."]


def test_an_owner_that_cannot_be_seen() -> None:
    unseen = "the process of root that holds 0.0.0.0:443 cannot be seen from here"
    assert after_the_message(unknown_owner()) == [
        f"  not seen: {unseen} → run portcheck with sudo",
    ]


def test_an_owner_of_whom_only_the_user_is_known() -> None:
    unseen = unknown_owner()
    unseen = unseen._replace(owners=(Owner(None, Process(0, uid=1000), (0,)),))
    lines = after_the_message(unseen, verbose=True)
    assert lines[0] == "  owner: a process of uid 1000 (PID not visible, uid 1000)"


def test_notes() -> None:
    assert after_the_message(with_a_udp_note()) == [
        "  note: UDP port 53 is held by dnsmasq (PID 77); that is no conflict for TCP"
    ]


def test_verbose_tells_every_row_and_owner() -> None:
    lines = after_the_message(httpd_everywhere(), verbose=True)
    assert sum(line.startswith("  owner: httpd (PID 39") for line in lines) == 10
    assert lines[0].endswith(": /usr/sbin/httpd -k start [main; service apache2.service]")
    assert lines[11:] == [
        *(
            f"  in-use on {where}: httpd (PID 382 and 10 more) [probe, EADDRINUSE]"
            for where in ("0.0.0.0", ":: (IPv6 only)", ":: (dual-stack)", "127.0.0.1", "::1", "192.0.2.7")
        ),
        "  in-use on fe80::1%eth0: httpd (PID 382 and 10 more) [probe, EADDRINUSE]",
        "  clients of 127.0.0.1, ::1, 192.0.2.7, localhost reach httpd (PID 382 and 10 more)",
        "  more sockets of this port: 49990 ESTABLISHED, 3 TIME-WAIT",
        "  → Stop the service.",
        "      sudo systemctl stop apache2.service",
    ]


def test_verbose_tells_both_answers_where_they_differ() -> None:
    left = "2 TIME-WAIT sockets (55 s left)"
    assert after_the_message(time_wait(), verbose=True)[:2] == [
        f"  free on {where} [probe, free with SO_REUSEADDR, in-use without by {left}]"
        for where in ("0.0.0.0", ":: (dual-stack)")
    ]


def test_verbose_of_a_free_port() -> None:
    assert after_the_message(diagnosis(8000), verbose=True)[:2] == [
        "  free on 0.0.0.0 [probe]",
        "  free on :: (IPv6 only) [probe]",
    ]


def test_a_family_that_is_off_is_not_worth_a_line() -> None:
    off = Row(Bind("::", "ipv6", True), "unsupported", "unsupported", "unsupported", "EAFNOSUPPORT")
    assert after_the_message(diagnosis(8000, binds=(free(ANY4), off))) == []
    assert "  unsupported on :: (IPv6 only) [rules, EAFNOSUPPORT]" in after_the_message(
        diagnosis(8000, binds=(free(ANY4), off)), verbose=True
    )


def test_a_bind_that_would_share_clients() -> None:
    beside = free(ETHERNET4)._replace(shadows=(0,))
    shared = node_on_loopback()._replace(binds=(beside, taken(LOOPBACK4, 0)))
    assert "  free on 192.0.2.7: only beside node (PID 812)" in after_the_message(shared)


def test_many_owners_and_addresses_are_cut_short() -> None:
    owners = tuple(Owner(pid, Process(pid, name=f"server{pid}"), (0,)) for pid in range(1, 31))
    binds = (*(free(Bind(f"192.0.2.{n}", "ipv4", None, "eth0")) for n in range(1, 21)), taken(ANY4, 0))
    busy = node_on_loopback()._replace(owners=owners, binds=binds, answers=())
    lines = after_the_message(busy)
    assert lines[7:10] == [
        "  owner: server8 (PID 8)",
        "  and 22 more owners (-v shows all)",
        "  free on " + ", ".join(f"192.0.2.{n}" for n in range(1, 9)) + " and 12 more",
    ]
    assert lines[10] == "  in-use on 0.0.0.0: server1 (PID 1), server2 (PID 2), server3 (PID 3) and 27 more"
    assert len(after_the_message(busy, verbose=True)) > 50


def test_a_long_command_is_cut_and_verbose_has_it_all() -> None:
    java = Process(9, name="java", command=("java", "-cp", "x" * 5000))
    busy = node_on_loopback()._replace(owners=(Owner(9, java, (0,)),))
    assert len(after_the_message(busy)[0]) < 150
    assert after_the_message(busy)[0].endswith("xxx…")
    assert after_the_message(busy, verbose=True)[0].endswith("x" * 5000)


@pytest.mark.skipif("os.name == 'nt'", reason="a POSIX shell's quoting")
def test_commands_can_be_pasted() -> None:
    advice = Advice("Stop it.", ("docker", "stop", "my web", "it's"))
    assert after_the_message(diagnosis(advice=(advice,)))[1] == """      docker stop 'my web' 'it'"'"'s'"""


def test_a_listener_of_nobody_that_is_seen_answers_all_the_same() -> None:
    unseen = unknown_owner()
    two = unseen._replace(
        sockets=(*unseen.sockets, listener("127.0.0.1", 443, 5)),
        owners=(*unseen.owners, Owner(5, Process(5, name="node"), (1,))),
        answers=(Answer("127.0.0.1", (1,), (5,)), Answer("192.0.2.7", (0,), None), Answer("::1")),
    )
    assert "  clients of 192.0.2.7 reach nginx.service" in after_the_message(two)


def test_hostile_text_stays_in_its_line() -> None:
    lines = list(plain.check(hostile(), verbose=True))
    shown = r"evil\x1b[2J\n\u202e[bold]:bomb:\xff"
    assert lines[0] == f"Port 6666 is in use: {shown} (PID 666) listens on 127.0.0.1."
    assert all(line.isprintable() for line in lines)
    assert HOSTILE not in "".join(lines)


@settings(max_examples=60)
@given(diagnoses())
def test_no_diagnosis_can_break_a_line(found: Diagnosis) -> None:
    for verbose in (False, True):
        lines = list(plain.check(found, verbose=verbose))
        assert all(line.isprintable() for line in lines)


@settings(max_examples=60)
@given(diagnoses())
def test_what_is_told_in_one_line_has_nothing_more_to_tell(found: Diagnosis) -> None:
    """The short way for a free port leaves nothing out."""
    short = found._replace(verdict="free", sockets=(), owners=(), notes=(), blind_spots=(), advice=(), answers=())
    short = short._replace(binds=tuple(map(free, EVERY_BIND)))
    assert list(plain._details(short, verbose=False)) == []
    assert len(list(plain.check(short))) == 1


def sockets() -> tuple[Socket, ...]:
    return (
        Socket("udp", "ipv4", "0.0.0.0", 53, pids=None, user="root", uid=0),
        listener("0.0.0.0", 80, 382, 390, user="root", uid=0),
        listener("fe80::1", 8080, 812, interface="eth0", uid=1000),
        Socket("tcp", "ipv6", "::1", 3000, "::1", 40001, "TIME-WAIT", pids=()),
        Socket("tcp", "ipv4", "127.0.0.1", 3000, "127.0.0.1", 40002, "ESTABLISHED", pids=(812,), uid=1000),
        listener("127.0.0.1", 9999, 13, user="CORP\\Anna B"),
    )


PROCESSES = {
    382: Process(382, name="httpd", command=("/usr/sbin/httpd", "-k", "start")),
    390: Process(390, name="httpd", command=("/usr/sbin/httpd", "-k", "start")),
    812: Process(812, name="tmux: server", command=("tmux", "new\nsession")),
    13: Process(13, name="\x1b[31m"),
}


def test_listing() -> None:
    assert list(plain.listing(sockets(), PROCESSES)) == [
        "PROTO ADDRESS          PORT STATE           PID NAME            USER       COMMAND",
        "udp   0.0.0.0            53 -                 ? ?               root",
        "tcp   0.0.0.0            80 LISTEN      382,390 httpd           root       /usr/sbin/httpd -k start",
        r"tcp   fe80::1%eth0     8080 LISTEN          812 tmux:\x20server 1000       tmux new\nsession",
        "tcp   ::1              3000 TIME-WAIT         - -               ?",
        r"tcp   127.0.0.1        3000 ESTABLISHED     812 tmux:\x20server 1000       tmux new\nsession",
        r"tcp   127.0.0.1        9999 LISTEN           13 \x1b[31m        CORP\Anna\x20B",
    ]


def test_listing_of_connections() -> None:
    lines = list(plain.listing(sockets(), PROCESSES, remote=True))
    assert lines[0].endswith(" USER       REMOTE                COMMAND")
    assert [line.split()[7] for line in lines[1:]] == ["-", "-", "-", "[::1]:40001", "127.0.0.1:40002", "-"]


def test_every_column_of_a_listing_but_the_last_is_a_word() -> None:
    for line in list(plain.listing(sockets(), PROCESSES, remote=True))[1:]:
        assert len(line.split()) >= 8


def test_a_listing_says_its_rows_as_it_goes() -> None:
    """Constant memory: however many sockets there are, no row waits for another."""
    endless: Iterator[Socket] = repeat(sockets()[1])
    lines = plain.listing(endless, PROCESSES)
    next(lines)
    tracemalloc.start()
    try:
        for _ in range(10):
            next(lines)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20_000):
            next(lines)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000  # less than a byte for each


def test_pids() -> None:
    assert list(plain.pids(sockets())) == ["382", "390", "812", "13"]


def test_dual_stack_is_told_from_ipv6_only() -> None:
    rows = (taken(DUAL, 0), free(LOOPBACK6))
    assert "  in-use on :: (dual-stack): node (PID 812)" in after_the_message(node_on_loopback()._replace(binds=rows))
