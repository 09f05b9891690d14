"""What stop, wait and preflight draw at a terminal, from values alone: exact text, and what holds at every width."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.declared import composed, declared, found, held, own, report
from support.examples import (
    HOSTILE,
    diagnosis,
    hostile,
    httpd_everywhere,
    node_on_loopback,
    time_wait,
    two_owners,
    unknown_owner,
)
from support.scenes import scene

from portcheck.cli.parse import wish_for_colour
from portcheck.model import Advice, Diagnosis, Owner, Process
from portcheck.preflight.judge import PreflightReport
from portcheck.preflight.unasked import unasked
from portcheck.render import run, terminal_preflight, terminal_stop, terminal_wait
from portcheck.render.layout import Canvas
from portcheck.stop.outcome import Report, not_done, untouched
from portcheck.stop.plan import Ending, Plan, Step
from portcheck.target import Endpoint
from portcheck.waiting import loop
from portcheck.waiting.loop import Standing, Waited

WIDTHS = (20, 40, 80, 200, 1000)
ESCAPE = re.compile("\x1b\\[[0-9;]*m")
NODE: Owner = node_on_loopback().owners[0]


def signalled(*owners: Owner, endings: tuple[Ending, ...] = ()) -> Plan:
    processes = tuple(owner.process for owner in owners)
    return Plan((Step(owners, frozenset(), owners, signalled=processes, endings=endings),))


def intended(before: Diagnosis, plan: Plan, *, width: int = 80, force: bool = False, colour: bool = False) -> str:
    return "\n".join(terminal_stop.intention(before, plan, Canvas(width, colour=colour), force=force))


def concluded(stopped: Report, width: int = 80) -> str:
    return "\n".join(terminal_stop.conclusion(stopped, Canvas(width)))


def workers(count: int) -> tuple[Ending, ...]:
    main, first = httpd_everywhere().owners[0].process, httpd_everywhere().owners[1].process
    others = [Ending(first._replace(pid=390 + number), "ends with it") for number in range(count)]
    return (Ending(main, "ends with it", (443, "53/udp")), *others)


# stop


def test_a_managers_command_stands_alone_and_everybody_is_named_below() -> None:
    before = httpd_everywhere()
    root = before.owners[0]._replace(process=before.owners[0].process._replace(required_by=("shop.service",)))
    step = Step(before.owners, frozenset(), (root,), ("systemctl", "stop", "apache2.service"), endings=workers(10))
    assert intended(before._replace(advice=()), Plan((step,))).split("\n")[2:] == [
        "",
        "  plan:",
        "    systemctl stop apache2.service",
        "  It stops shop.service too.",
        "  PID               PROGRAM  USER      HOW IT ENDS   ALSO SERVES",
        "  382               httpd    root      ends with it  443, 53/udp",
        "  390, 391, 392 +7  httpd    www-data  ends with it",
    ]


def test_force_is_part_of_the_plan() -> None:
    assert intended(node_on_loopback(), signalled(NODE), force=True).endswith(
        "plan: send it SIGTERM, if need be SIGKILL"
    )


def test_several_programs_are_named_by_their_plans() -> None:
    other = NODE._replace(pid=813, process=NODE.process._replace(pid=813))
    plan = Plan((*signalled(NODE).steps, *signalled(other).steps))
    shown = intended(two_owners(), plan)
    assert [line for line in shown.split("\n") if "plan:" in line] == [
        "  plan: SIGTERM to node server.js (PID 812)",
        "  plan: SIGTERM to node server.js (PID 813)",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_pid_and_no_port_is_lost_at_any_width(width: int) -> None:
    shown = intended(httpd_everywhere(), signalled(NODE, endings=workers(2)), width=width)
    for word in ("80", "382", "390", "391", "443", "53/udp", "SIGTERM"):
        assert word in shown


def test_a_refusal_names_the_holder_the_reason_and_what_helps() -> None:
    help_ = Advice("stop the service with systemctl", ("sudo", "systemctl", "stop", "apache2.service"))
    plan = Plan(refusal="only root can stop apache2.service", advice=(help_,))
    assert concluded(untouched(httpd_everywhere(), plan)) == (
        "✗ Nothing stopped: apache2.service (main process httpd, PID 382 and 10 more,\n"
        "  root) holds 80\n"
        "  Only root can stop apache2.service.\n"
        "\n"
        "  stop the service with systemctl\n"
        "    sudo systemctl stop apache2.service"
    )


def test_what_the_command_says_is_not_said_before_it() -> None:
    reason = "only root can see its process and stop it"
    plan = Plan(refusal=reason, advice=(Advice(reason, ("sudo", "portcheck", "stop", "443")),))
    assert concluded(untouched(unknown_owner(), plan)).split("\n")[1:] == ["", "  sudo portcheck stop 443"]


def test_where_nobody_holds_it_the_reason_is_all() -> None:
    refused = untouched(diagnosis(verdict="in-use", cause="kernel"), Plan(refusal="the kernel itself holds it"))
    assert concluded(refused) == "✗ Nothing stopped: the kernel itself holds it"


def test_what_frees_itself_is_shown_as_in_a_check() -> None:
    waits = time_wait()._replace(verdict="in-use", owners=(), advice=(Advice("free by itself in 55 s"),))
    assert concluded(untouched(waits, Plan())).split("\n")[-1] == "  free by itself in 55 s"


def test_nothing_was_done() -> None:
    assert concluded(not_done("planned", node_on_loopback(), signalled(NODE))) == "\nNothing was done (--dry-run)"


@pytest.mark.parametrize("width", [20, 80])
def test_strangers_text_is_harmless_in_a_plan(width: int) -> None:
    before = hostile()
    evil = before.owners[0]
    ending = Ending(evil.process, "ends with it", (HOSTILE,))
    plan = signalled(evil, endings=(ending, ending._replace(process=evil.process._replace(pid=7))))
    named = Plan((plan.steps[0]._replace(command=("systemctl", "stop", HOSTILE)),))
    refused = untouched(before, Plan(refusal=HOSTILE, advice=(Advice(HOSTILE, (HOSTILE,)),)))
    lines = [intended(before, each, width=width, colour=True) for each in (plan, named)]
    for text in (*lines, concluded(refused, width), concluded(Report("held", HOSTILE, before), width)):
        assert all(ESCAPE.sub("", line).isprintable() for line in text.split("\n")), text


# wait


def test_of_many_targets_a_few_are_named() -> None:
    missing = [Standing(Endpoint(str(port), "tcp", port), met=False, message="") for port in range(8000, 8010)]
    (told,) = terminal_wait.announcement(missing, loop.Plan(any=True, stable=2), Canvas(200))
    assert told == (
        "waiting for one of port 8000, port 8001, port 8002 and 7 more: nothing listens there yet,"
        " and for 2 s without a gap (for 30 s at most)"
    )


def unmet(found_: Diagnosis) -> Standing:
    return Standing(Endpoint(found_.target, "tcp", found_.port), met=False, message="", diagnosis=found_)


def test_obstacles_of_neighbours_share_a_line() -> None:
    standings = [unmet(node_on_loopback()._replace(port=port)) for port in (3000, 3001)]
    assert list(terminal_wait.obstacles(standings, Canvas(80))) == ["✗ 3000-3001  node server.js (PID 812, bo, ~/shop)"]


def test_what_did_not_come_is_told_with_its_command() -> None:
    stop = Advice("end it", ("portcheck", "stop", "3000"))
    standing = Standing(
        Endpoint("3000", "tcp", 3000), met=False, message="", diagnosis=node_on_loopback()._replace(advice=(stop,))
    )
    waited = Waited("timeout", (standing,), 2.0)
    shown = [*terminal_wait.complaints(waited, loop.Plan(free=True, timeout=2), Canvas(80), named=True)]
    assert shown == ["✗ timed out after 2 s: 3000 is still in use", "", "  portcheck stop 3000"]


# run

ELSEWHERE = "vite listens on 5174, not on 3000", "It ignores PORT; try: ... -- npm run dev -- --port {port}"


@pytest.mark.parametrize(
    ("elsewhere", "is_ended", "said"),
    [
        (None, True, "not ready within 8 s, so it was stopped"),
        (None, False, "not ready within 8 s, but it was not stopped"),
        (ELSEWHERE, True, f"not ready within 8 s ({ELSEWHERE[0]}), so it was stopped. {ELSEWHERE[1]}"),
    ],
)
def test_not_ready(elsewhere: tuple[str, str] | None, is_ended: bool, said: str) -> None:
    assert run.not_ready(8.0, elsewhere, is_ended=is_ended) == said


# preflight


def preflight(found_: PreflightReport, width: int = 80) -> list[str]:
    return list(terminal_preflight.report(found_, Canvas(width)))


def test_preflight_has_conflicts_first_then_what_is_fine_then_what_is_open() -> None:
    assert preflight(report(), 100) == [
        "✗ compose.yaml:4 web: api (line 9) declares port 8000 too: whichever starts second fails",
        "  give one of the two another port",
        "",
        "✗ compose.yaml:14 db: 127.0.0.1:5432 is in use by db (PID 7, db) in /var/lib, for 0 s",
        "",
        "✗ portcheck.toml:3 app: 192.0.2.99:8080 cannot be bound on 192.0.2.99: no interface of this host has",
        "  that address",
        "  note: db",
        "",
        "✓ portcheck.toml:2  db     9000-9002  free as 9001: 9000 is in-use: db (PID 7)",
        "✓ db:1              -      3000       already running: node (PID 812)",
        "  compose.yaml:20   debug  9229       not checked: profile db is off",
        "",
        "! 2 entries could not be resolved:",
        "  compose.yaml:10 db: db is not set",
        "  db:1: db",
        "",
        "6 declared ports: 2 declared twice, 1 in-use, 1 free, 1 already running, 1 unavailable",
    ]


def test_neighbours_are_one() -> None:
    free = found(scene(), *(composed(port) for port in (8000, 8001, 8002, 9000)))
    assert preflight(PreflightReport((), free))[:2] == [
        "✓ compose.yaml:1  web  8000-8002",
        "✓ compose.yaml:1  web  9000",
    ]


def test_neighbours_with_one_holder_are_one_conflict() -> None:
    process = Process(7, "postgres", cwd="/var/lib")
    seen = scene(*(held(port, process).tables["tcp"].sockets[0] for port in (8000, 8001)), processes=(process,))
    lines = preflight(PreflightReport((), found(seen, composed(8000), composed(8001))))
    assert lines[0].startswith("✗ compose.yaml:1 web: 8000-8001 are in use by postgres (PID 7)")
    assert sum(line.startswith("✗") for line in lines) == 1


def test_each_of_several_holders_has_its_command() -> None:
    both = (
        Advice("stop one", ("portcheck", "stop", "--pid", "1")),
        Advice("stop two", ("portcheck", "stop", "--pid", "2")),
    )
    (finding,) = found(held(8000), composed(8000))
    shared = finding._replace(diagnosis=two_owners(), advice=both)
    assert preflight(PreflightReport((), (shared,)))[2:8] == [
        "",
        "  stop one",
        "    portcheck stop --pid 1",
        "  stop two",
        "    portcheck stop --pid 2",
        "",
    ]
    alone = finding._replace(advice=both)
    assert "    portcheck stop --pid 2" not in preflight(PreflightReport((), (alone,)))


def test_what_was_not_asked_is_said_in_two_words() -> None:
    (finding,) = map(unasked, found(scene(), composed(8000)))
    assert preflight(PreflightReport((), (finding,)))[0] == "! compose.yaml:1  web  8000  not asked"


def test_the_project_itself_is_fine() -> None:
    lines = preflight(PreflightReport((), found(held(8000, own()), declared(8000))))
    assert lines[0] == "✓ portcheck.toml:1  web  8000  already running: node (PID 812)"


def test_a_process_of_the_project_is_in_its_containers_way() -> None:
    lines = preflight(PreflightReport((), found(held(8000, own()), composed(8000))))
    assert lines[0].startswith("✗ compose.yaml:1 web: 8000 is in use by node (PID 812")
    assert any(line.startswith("  note: a process of the project has the port") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_of_a_project_nothing_is_cut(width: int) -> None:
    shown = " ".join(" ".join(preflight(report(), width)).split())
    for word in ("compose.yaml:14", "127.0.0.1:5432", "9000-9002", "db is not set"):
        assert word in shown


@given(st.sampled_from((HOSTILE, "\x00\x0b\ufffe\ud800é漢")) | st.text(min_size=1, max_size=8).filter("web".__ne__))
def test_a_project_is_harmless_on_a_screen(name: str) -> None:
    assert all(line.isprintable() for line in preflight(report(name), 40))


def test_a_declaration_without_a_name_reads_well() -> None:
    lines = preflight(PreflightReport((), found(held(8000), declared(8000, None, 3))))
    assert lines[0].startswith("✗ portcheck.toml:3: 8000 is in use by postgres")


# a line that is wrong otherwise


@pytest.mark.parametrize(
    ("line", "wish"),
    [
        ("stop 3000 --foo", "auto"),
        ("stop --color=never --foo", "never"),
        ("stop --color always --foo", "always"),
        ("--no-color", "never"),
        ("--color=sometimes", "auto"),
        ("--color", "auto"),
        ("--color=never --color=always", "always"),
        ("run 8000 -- ls --color=always", "auto"),
    ],
)
def test_the_wish_for_colour_is_heard_all_the_same(line: str, wish: str) -> None:
    assert wish_for_colour(line.split()) == wish
