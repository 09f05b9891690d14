"""The face for a terminal: its exact text at 80 columns, and what holds at every width."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import (
    EVERY_BIND,
    EXAMPLES,
    HOSTILE,
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

from portcheck.diagnosis.pipeline import Stretch
from portcheck.model import Advice, BlindSpot, Diagnosis, Note, Owner, Process, Sentence
from portcheck.render import terminal
from portcheck.render.holder import end_of, name_here
from portcheck.render.layout import Canvas, cells
from portcheck.render.words import quoted

TESTS = Path(__file__).parents[1]
ESCAPE = re.compile("\x1b\\[[0-9;]*m")  # the only codes that may come out: colours
NOW = STARTED + 12 * 60
WIDTHS = (20, 33, 40, 60, 80, 120, 300, 1000)


def told(diagnosis: Diagnosis, *, verbose: bool = False, width: int = 80, signs: bool = True) -> str:
    canvas = Canvas(width, signs=signs, now=NOW)
    return "\n".join(terminal.check(diagnosis, canvas, verbose=verbose))


def overview(*answers: Diagnosis | Stretch, width: int = 80, signs: bool = True) -> list[str]:
    stretches = [each if isinstance(each, Stretch) else Stretch(each, each.port) for each in answers]
    targets = [str(stretch.first.port) for stretch in stretches]
    return list(terminal.overview(stretches, Canvas(width, signs=signs, now=NOW), targets))


def consequence(found: Diagnosis, reason: str, *consequences: str) -> Diagnosis:
    return found._replace(sentence=found.sentence._replace(reason=reason, consequences=consequences))


def node() -> Diagnosis:
    """As a real check tells it, with what follows from the reason apart."""
    follows = "the other addresses are free, but a server that binds 0.0.0.0 would fail"
    found = consequence(node_on_loopback(), "node (PID 812, bo) listens on 127.0.0.1", follows)
    return found._replace(advice=(Advice("end it from here", ("portcheck", "stop", "3000")),))


def denied(port: int) -> Diagnosis:
    rows = tuple(free(bind)._replace(outcome="denied", error="EACCES") for bind in EVERY_BIND)
    because = "ports below 1024 need privilege (EACCES)"
    short = "needs root (ports below 1024 do); nothing is using it"
    sentence = Sentence(
        f"port {port}", "cannot", "be bound", because, consequences=("no socket is in the way",), short=short
    )
    return diagnosis(port, verdict="denied", cause="privileged", binds=rows)._replace(sentence=sentence)


def test_free_is_one_line() -> None:
    assert told(diagnosis(8000)) == "✓ 8000 is free on every IPv4 and IPv6 address"


def test_a_held_port() -> None:
    assert (
        told(node())
        == """\
✗ 3000 is in use by node server.js (PID 812, bo) in ~/shop, for 12 min, in tmux
  0
  It listens on 127.0.0.1; the other addresses are free, but a server that binds
  0.0.0.0 would fail.

  portcheck stop 3000"""
    )


def test_a_service_with_workers() -> None:
    assert (
        told(httpd_everywhere())
        == """\
✗ 80 is in use by apache2.service (main process httpd, PID 382 and 10 more,
  root), for 12 min

  Stop the service.
    sudo systemctl stop apache2.service"""
    )


def test_two_holders_have_a_table() -> None:
    assert (
        told(two_owners())
        == """\
✗ 20000 is in use by 2 programs that have nothing to do with each other

  PID   PROGRAM               USER    LISTENS ON  ANSWERS CLIENTS OF
  5444  Service.exe           SYSTEM  127.0.0.1   127.0.0.1
  6001  docker container web  root    ::          ::1, localhost"""
    )


def test_a_holder_that_only_root_sees() -> None:
    assert (
        told(unknown_owner())
        == """\
✗ 127.0.0.1:443 is in use by nginx.service (root, hidden from here)

  sudo portcheck 127.0.0.1:443"""
    )


def test_time_wait_is_free_with_a_condition() -> None:
    assert (
        told(time_wait())
        == """\
! 5000 is free on every IPv4 and IPv6 address for a server that sets
  SO_REUSEADDR; without it TIME_WAIT entries for another 55 s would refuse the
  bind

  Set SO_REUSEADDR in the server, or wait 55 s."""
    )


def test_a_privileged_port() -> None:
    assert told(denied(80)) == "✗ 80 needs root (ports below 1024 do); nothing is using it"


def test_what_cannot_be_told() -> None:
    sentence = Sentence("whether port 53 is free", "cannot", "be told", "there is no table")
    found = diagnosis(53, verdict="unknown", complete=False)._replace(sentence=sentence)
    assert told(found) == "! whether port 53 is free cannot be told: there is no table"


def test_notes_and_blind_spots_are_told() -> None:
    assert told(with_a_udp_note()).split("\n")[1] == (
        "  note: UDP port 53 is held by dnsmasq (PID 77); that is no conflict for TCP"
    )


def test_ascii_where_the_terminal_has_no_more() -> None:
    shown = [told(found, signs=False).partition(" ")[0] for found in (diagnosis(), httpd_everywhere(), time_wait())]
    assert shown == ["ok", "x", "!"]
    assert told(node(), signs=False).isascii()


def test_several_targets_have_a_line_each() -> None:
    assert overview(node(), Stretch(diagnosis(8000), 8001), denied(80), time_wait()) == [
        "✗ 3000  node server.js (PID 812, bo, ~/shop)",
        "✓ 8000-8001",
        "✗ 80    needs root (ports below 1024 do); nothing is using it",
        "! 5000  free on every IPv4 and IPv6 address for a server that sets SO_REUSEADDR;",
        "        without it TIME_WAIT entries for another 55 s would refuse the bind",
    ]


def test_no_line_of_an_overview_ends_in_blanks() -> None:
    stretches = [Stretch(answer, answer.port) for answer in (node(), diagnosis(8000))]
    lines = terminal.overview(stretches, Canvas(80, colour=True, now=NOW), ["8000-8010"])
    assert [re.sub("\x1b\\[[0-9;]*m", "", line)[-6:] for line in lines] == ["~/shop)"[-6:], "✓ 8000"]


def test_equal_neighbours_share_a_line_whatever_their_verdict() -> None:
    held = [node()._replace(port=port) for port in (3000, 3001, 3002)]
    assert overview(*held, denied(20), denied(21), denied(23)) == [
        "✗ 3000-3002  node server.js (PID 812, bo, ~/shop)",
        "✗ 20-21  needs root (ports below 1024 do); nothing is using it",
        "✗ 23    needs root (ports below 1024 do); nothing is using it",
    ]


def test_what_was_not_seen_is_told_once_for_all() -> None:
    """Each line says that its holder is hidden; how to see who that is, the last one says for all of them."""
    answers = [Stretch(found, found.port) for found in (unknown_owner(), unknown_owner()._replace(port=445))]
    shown = list(terminal.overview(answers, Canvas(80), ["443", "445"], again=("portcheck", "443", "445")))
    assert shown == [
        "✗ 127.0.0.1:443  nginx.service (root, hidden from here)",
        "✗ 127.0.0.1:445  nginx.service (root, hidden from here)",
        "",
        "to see what is hidden:",
        f"  {quoted(('sudo', 'portcheck', '443', '445'))}",
    ]
    other = unknown_owner()._replace(blind_spots=(BlindSpot("engine-no-answer", "docker was silent"),) * 2)
    assert overview(other, other._replace(port=445))[2:] == ["not seen: docker was silent"]


def test_the_ports_of_a_range_stand_below_each_other() -> None:
    answers = [Stretch(diagnosis(1), 9999), Stretch(denied(10000), 10000), Stretch(diagnosis(10001), 65535)]
    lines = list(terminal.overview(answers, Canvas(120), ["1-65535"]))
    assert lines[0] == "✓ 1-9999"
    assert lines[1].startswith("✗ 10000        ")
    assert lines[2] == "✓ 10001-65535"


def test_a_long_folder_keeps_its_end_and_a_script_in_it_is_told_by_its_name() -> None:
    folder = "/srv/a very long name/of a project/in many/deep folders of it/shop"
    process = Process(5, name="node", script=f"{folder}/server.js", cwd=folder, command=("node", f"{folder}/server.js"))
    assert (end_of(folder, 30), end_of("/srv", 30)) == ("…/deep folders of it/shop", "/srv")
    assert name_here(process) == "node server.js"
    assert name_here(process._replace(cwd="/srv")) == f"node {folder.removeprefix('/srv/')}/server.js"
    assert name_here(process._replace(cwd="/home")) == f"node {folder}/server.js"


def test_of_many_holders_no_more_is_advised_than_is_shown() -> None:
    several = two_owners()
    many = several._replace(advice=tuple(Advice(f"stop {pid}", ("kill", str(pid))) for pid in range(20)))
    assert (told(many).count("kill "), told(many, verbose=True).count("kill ")) == (8, 20)


def test_verbose_tells_every_row() -> None:
    shown = told(node(), verbose=True)
    assert (
        """\
  ADDRESS          OUTCOME  HOW                BLOCKED BY
  0.0.0.0          in-use   probe, EADDRINUSE  node (PID 812)
  :: (IPv6 only)   free     probe
"""
        in shown
    )
    assert "  CLIENTS OF      REACH\n  127.0.0.1       node (PID 812)\n  ::1, 192.0.2.7  nobody\n" in shown


def many_holders() -> Diagnosis:
    sockets = tuple(listener(f"127.0.0.{number}", 3000, 100000 + number) for number in range(1, 31))
    owners = tuple(
        Owner(100000 + number, Process(100000 + number, name=f"server{number}", uid=1000, user="bo"), (number - 1,))
        for number in range(1, 31)
    )
    rows = tuple(taken(bind, *range(30)) for bind in EVERY_BIND)
    return node()._replace(sockets=sockets, owners=owners, binds=rows, advice=())


def test_many_holders_are_cut_short() -> None:
    lines = told(many_holders()).split("\n")
    assert lines[-1] == "  22 more (-v shows all)"
    assert len([line for line in lines if "  server" in line]) == 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_port_with_one_holder_takes_eight_lines_at_most(name: str) -> None:
    found = EXAMPLES[name]()
    if name != "hostile" and len(found.owners) != 2:
        assert len(told(found).split("\n")) <= 8


LONG = "an-application-server-with-a-very-long-name.service"


def awkward() -> dict[str, tuple[Diagnosis, list[str]]]:
    """Diagnoses, and what must be readable in each at every width."""
    process = node().owners[0].process
    owner = node().owners[0]
    stop = Advice("end it", ("portcheck", "stop", "--pid", "812", "/" + "x" * 200))
    wide = process._replace(script=None, name="サーバー" * 4, command=("サーバー",), project_dir="/家/仕事" * 9)
    return {
        "long name": (node()._replace(owners=(owner._replace(process=process._replace(service=LONG)),)), [LONG[:40]]),
        "long command": (node()._replace(advice=(stop,)), ["x" * 200, "portcheck stop --pid 812"]),
        "many holders": (many_holders(), ["100001", "server1", "100008", "server8"]),
        "wide characters": (node()._replace(owners=(owner._replace(process=wide),)), ["サーバー"]),
        "two": (two_owners(), ["5444", "Service.exe", "6001", "docker", "127.0.0.1"]),
    }


@pytest.mark.parametrize("name", awkward())
@pytest.mark.parametrize("width", WIDTHS)
def test_at_no_width_what_matters_is_cut(name: str, width: int) -> None:
    found, words = awkward()[name]
    shown = told(found, width=width)
    assert [word for word in (str(found.port), *words) if word not in shown] == []
    assert "812" in shown or found.owners[0].pid != 812


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal_but_commands_and_words(name: str, width: int) -> None:
    found = EXAMPLES[name]()
    for verbose in (False, True):
        for line in told(found, verbose=verbose, width=width).split("\n"):
            assert cells(line) <= width or len(line.split()) <= 2 or line.strip().startswith(("sudo", "kill")), line


@pytest.mark.parametrize("name", EXAMPLES)
def test_colour_only_adds_colours(name: str) -> None:
    found = EXAMPLES[name]()
    coloured = "\n".join(terminal.check(found, Canvas(80, colour=True, now=NOW)))
    assert [line.rstrip() for line in ESCAPE.sub("", coloured).split("\n")] == told(found).split("\n")


def test_only_the_verdict_has_a_colour() -> None:
    shown = "\n".join(terminal.check(node(), Canvas(200, colour=True, now=NOW)))
    coloured = re.findall(r"\x1b\[1;3\dm([^\x1b]*)", shown)
    assert coloured == ["✗", "in use"]
    assert "\x1b[1mnode server.js\x1b[0m" in shown
    colours = [
        next(terminal.check(found, Canvas(80, colour=True))).split("m")[0]
        for found in (diagnosis(), node(), diagnosis(verdict="unknown"))
    ]
    assert colours == ["\x1b[1;32", "\x1b[1;31", "\x1b[1;33"]


def test_hostile_text_is_only_text() -> None:
    shown = told(hostile(), verbose=True, width=300)
    assert r"evil\x1b[2J\n\u202e[bold]:bomb:\xff" in shown
    assert HOSTILE not in shown
    assert shown.replace("\n", "").isprintable()


@settings(max_examples=60, deadline=None)
@given(diagnoses(), st.sampled_from([1, 20, 80]), st.booleans())
def test_no_diagnosis_reaches_the_terminal_raw(found: Diagnosis, width: int, verbose: bool) -> None:
    canvas = Canvas(width, colour=True, now=NOW)
    lines = [*terminal.check(found, canvas, verbose=verbose), *terminal.overview([Stretch(found, found.port)], canvas)]
    assert all(ESCAPE.sub("", line).isprintable() for line in lines)


def test_nothing_of_rich_is_imported() -> None:
    code = """if True:
        import sys
        from support import examples
        from portcheck.render import terminal
        from portcheck.render.layout import Canvas
        list(terminal.check(examples.two_owners(), Canvas(colour=True), verbose=True))
        print("rich" in sys.modules)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TESTS)
    assert run.stdout == "False\n"


def test_a_note_makes_no_other_headline() -> None:
    noted = diagnosis(8000, notes=(Note("reserved-from-ephemeral", "kept"),))
    assert told(noted).split("\n") == [told(diagnosis(8000)), "  note: kept"]
