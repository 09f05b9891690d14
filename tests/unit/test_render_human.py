"""The exact text of the face for a terminal, at 80 columns and without colour unless said otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import (
    EXAMPLES,
    HOSTILE,
    STARTED,
    diagnosis,
    hostile,
    httpd_everywhere,
    listener,
    node_on_loopback,
    two_owners,
    unknown_owner,
    with_a_udp_note,
)
from support.generated import diagnoses

from portcheck.model import Advice, Diagnosis, Note, Owner, Process
from portcheck.render import plain, terminal
from portcheck.text import local

SINCE = local(STARTED)
TESTS = Path(__file__).parents[1]
ESCAPE = re.compile("\x1b\\[[0-9;]*m")  # the only codes that may come out: colours


def told(diagnosis: Diagnosis, *, verbose: bool = False, width: int = 80) -> str:
    return "\n".join(terminal.check(diagnosis, verbose=verbose, width=width))


def test_free_is_one_line() -> None:
    assert told(diagnosis(8000)) == "Port 8000 is free on every IPv4 and IPv6 address."


def test_a_sentence_is_coloured_as_rich_does_it() -> None:
    alone, remarked = diagnosis(8000), diagnosis(8000, notes=(Note("reserved-from-ephemeral", "kept"),))
    first, second = (next(terminal.check(found, colour=True)) for found in (alone, remarked))
    assert first == second == "\x1b[1;32mPort 8000 is free on every IPv4 and IPv6 address.\x1b[0m"


def test_only_a_sentence_that_fits_goes_without_rich() -> None:
    code = "import sys; from support import examples; from portcheck.render import terminal; "
    show = "print(len(list(terminal.check(examples.diagnosis(8000), width=int(sys.argv[1])))), 'rich' in sys.modules)"
    said = [
        subprocess.run(
            [sys.executable, "-c", code + show, width], capture_output=True, text=True, cwd=TESTS, check=True
        )
        for width in ("49", "48")
    ]
    assert [done.stdout.split() for done in said] == [["1", "False"], ["2", "True"]]


def test_one_server_everywhere() -> None:
    assert (
        told(httpd_everywhere())
        == f"""\
Port 80 is in use: httpd (PID 382, root, since 09:00) and 10 more processes
listen on every IPv4 and IPv6 address.

  PID             NAME   USER      SINCE             COMMAND
  382             httpd  root      {SINCE}  /usr/sbin/httpd -k start
  390 and 9 more  httpd  www-data  {SINCE}  /usr/sbin/httpd -k start

  → Stop the service.
      sudo systemctl stop apache2.service"""
    )


def test_rows_that_differ_are_told_by_their_fate() -> None:
    assert (
        told(node_on_loopback())
        == f"""\
Port 3000 is in use: node (PID 812, bo, since 09:00) listens on 127.0.0.1; the
other addresses are free, but a server that binds 0.0.0.0 would fail.

  PID  NAME  USER  SINCE             COMMAND
  812  node  bo    {SINCE}  node server.js

  ADDRESS                                      OUTCOME  BLOCKED BY
  0.0.0.0, :: (dual-stack), 127.0.0.1          in-use   node (PID 812)
  :: (IPv6 only), ::1, 192.0.2.7,              free
  fe80::1%eth0

  → Stop it where it runs (tmux 0) with Ctrl-C, or end it.
      kill 812"""
    )


def test_two_owners_and_who_answers_where() -> None:
    assert (
        told(two_owners())
        == r"""Port 20000 is in use: Service.exe (PID 5444, SYSTEM) listens on 127.0.0.1;
docker-proxy (PID 6001, root) on every IPv6 address.

  PID   NAME          USER    SINCE  COMMAND
  5444  Service.exe   SYSTEM  ?      C:\S\Service.exe
  6001  docker-proxy  root    ?

  ADDRESS              OUTCOME  BLOCKED BY
  0.0.0.0, 127.0.0.1   in-use   Service.exe (PID 5444)
  :: (IPv6 only), ::1  in-use   docker-proxy (PID 6001)
  :: (dual-stack)      in-use   Service.exe (PID 5444), docker-proxy (PID
                                6001)

  CLIENTS OF      REACH
  127.0.0.1       Service.exe (PID 5444)
  ::1, localhost  docker-proxy (PID 6001)
  192.0.2.7       nobody"""
    )


def test_an_owner_that_cannot_be_seen() -> None:
    assert (
        told(unknown_owner())
        == """\
Port 443 is in use: nginx.service (root; its process cannot be seen) listens on
every IPv4 address; besides, ports below 1024 need privilege.
  not seen: the process of root that holds 0.0.0.0:443 cannot be seen from here
  → run portcheck with sudo"""
    )


def test_a_remark_needs_no_empty_line_where_no_table_is() -> None:
    assert (
        told(with_a_udp_note())
        == """\
Port 53 is free on every IPv4 and IPv6 address.
  note: UDP port 53 is held by dnsmasq (PID 77); that is no conflict for TCP"""
    )


def test_verbose_tells_every_row() -> None:
    assert """\
  ADDRESS          OUTCOME  BLOCKED BY      HOW
  0.0.0.0          in-use   node (PID 812)  probe, EADDRINUSE
  :: (IPv6 only)   free                     probe
  :: (dual-stack)  in-use   node (PID 812)  probe, EADDRINUSE
  127.0.0.1        in-use   node (PID 812)  probe, EADDRINUSE
  ::1              free                     probe
  192.0.2.7        free                     probe
  fe80::1%eth0     free                     probe

  CLIENTS OF      REACH
  127.0.0.1       node (PID 812)
  ::1, 192.0.2.7  nobody
""" in told(node_on_loopback(), verbose=True)


def test_many_owners_are_cut_short() -> None:
    owners = tuple(Owner(pid, Process(pid, name=f"server{pid}", user="bo"), (0,)) for pid in range(1, 31))
    assert "\n  ...  22 more               -v shows all\n" in told(node_on_loopback()._replace(owners=owners))


def test_a_command_stays_on_one_line() -> None:
    command = ("docker", "compose", "--project-directory", "/srv/" + "x" * 90, "stop", "web")
    lines = told(diagnosis(advice=(Advice("Stop it.", command),)), width=40).split("\n")
    assert lines[-1] == f"      {' '.join(command)}"


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal_but_commands(name: str, width: int) -> None:
    for verbose in (False, True):
        lines = told(EXAMPLES[name](), verbose=verbose, width=width).split("\n")
        assert [line for line in lines if len(line) > width and not line.startswith("      ")] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_colour_only_adds_colours(name: str) -> None:
    coloured = "\n".join(terminal.check(EXAMPLES[name](), colour=True))
    bare = [line.rstrip() for line in ESCAPE.sub("", coloured).split("\n")]
    assert bare == told(EXAMPLES[name]()).split("\n")
    assert coloured.startswith("\x1b[1;3")


def test_the_verdict_has_its_colour() -> None:
    first = [
        next(terminal.check(found, colour=True)).split("m")[0]
        for found in (diagnosis(), httpd_everywhere(), diagnosis(verdict="unknown"))
    ]
    assert first == ["\x1b[1;32", "\x1b[1;31", "\x1b[1;33"]


def test_several_ports_are_set_apart_where_more_than_a_line_is_said() -> None:
    shown = list(terminal.checks([diagnosis(1), diagnosis(2), with_a_udp_note(), diagnosis(3)]))
    assert [line[:8] for line in shown] == [
        "Port 1 i",
        "Port 2 i",
        "",
        "Port 53 ",
        "  note: ",
        "",
        "Port 3 i",
    ]


def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(node_on_loopback())
    for name, value in {"TERM": "dumb", "COLUMNS": "20", "FORCE_COLOR": "1", "JUPYTER_COLUMNS": "20"}.items():
        monkeypatch.setenv(name, value)
    assert told(node_on_loopback()) == before


def test_hostile_text_is_only_text() -> None:
    shown = told(hostile(), verbose=True, width=300)
    assert r"evil\x1b[2J\n\u202e[bold]:bomb:\xff" in shown  # and neither markup nor emoji
    assert HOSTILE not in shown
    assert shown.replace("\n", "").isprintable()


@settings(max_examples=40, deadline=None)
@given(diagnoses(), st.sampled_from([1, 20, 80]))
def test_no_diagnosis_reaches_the_terminal_raw(found: Diagnosis, width: int) -> None:
    lines = list(terminal.check(found, verbose=True, width=width, colour=True))
    assert all(ESCAPE.sub("", line).isprintable() for line in lines)


def test_listing() -> None:
    sockets = [
        listener("0.0.0.0", 80, 382, 390, user="root"),
        listener("fe80::aaaa:bbbb:cccc:dddd", 8080, 812, interface="eth0", user="bo"),
    ]
    processes = {
        382: Process(382, name="httpd", command=("/usr/sbin/httpd", "-k", "start")),
        812: Process(812, name="tmux: server", command=("tmux",)),
    }
    assert list(terminal.listing(sockets, processes)) == [
        "PROTO  ADDRESS                         PORT  STATE       PID  NAME          USER",
        "tcp    0.0.0.0                           80  LISTEN  382,390  httpd         root",
        "tcp    fe80::aaaa:bbbb:cccc:dddd%eth0  8080  LISTEN      812  tmux: server  bo",
    ]
    wide = list(terminal.listing(sockets, processes, remote=True, width=120))
    assert wide[0].split()[-2:] == ["REMOTE", "COMMAND"]
    assert wide[1].endswith("-       /usr/sbin/httpd -k start")


def test_a_long_listing_is_plain() -> None:
    sockets = [listener("127.0.0.1", port, 1) for port in range(1, terminal.MANY + 2)]
    assert list(terminal.listing(sockets, {}, colour=True)) == list(plain.listing(sockets, {}))
    assert list(terminal.listing(sockets[1:], {})) != list(plain.listing(sockets[1:], {}))


def test_no_more_of_rich_is_imported_than_a_table_takes() -> None:
    code = """if True:
        import sys
        from support import examples
        from portcheck.render import terminal
        before = "rich" in sys.modules
        list(terminal.check(examples.httpd_everywhere(), colour=True))
        costly = ("live", "progress", "markdown", "syntax", "traceback")
        print(before, "rich.table" in sys.modules, [name for name in costly if f"rich.{name}" in sys.modules])
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TESTS)
    assert run.stdout == "False True []\n"
