"""What `stop` plans and refuses, and what it says afterwards: decided from values alone."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from support.examples import diagnosis as blank
from support.generated import vocabulary
from support.scenes import NOON, diagnosis, endpoint, listener, scene

from portcheck.model import Container, Diagnosis, Hands, Process, Socket
from portcheck.remedies.advise import advise
from portcheck.remedies.fill import Order
from portcheck.render.layout import Canvas
from portcheck.render.stop import conclusion, intention
from portcheck.render.voice import voiced
from portcheck.stop import outcome
from portcheck.stop.outcome import Doing, Report, is_held, report, untouched
from portcheck.stop.plan import Asker, Plan, plan

ROOT = Asker(0, frozenset((1, 500, 501)))
BO = Asker(1000, frozenset((1, 600)))
SYSTEMD = Process(
    1, "systemd", 0, "root", ("/sbin/init",), role="service manager", activation="echo.socket", service="echo.service",
    service_manager="systemd", cgroup="/init.scope",
)  # fmt: skip
APACHE = Process(
    104, "apache2", 0, "root", ("apache2",), parent_pid=1, role="main", service="apache2.service",
    service_manager="systemd", cgroup="/system.slice/apache2.service",
)  # fmt: skip


def node(pid: int = 812, **known: Any) -> Process:
    usual = {"uid": 1000, "user": "bo", "command": ("node", "s.js"), "parent_pid": 700, "start_ticks": pid * 10}
    return Process(pid, "node", **{**usual, **known})


def held(*holders: Process | list[Process], uid: int | None = 0, **fields: Any) -> Diagnosis:
    """Port 8000, a socket for each of the holders (or for several of them together)."""
    groups = [holder if isinstance(holder, list) else [holder] for holder in holders]
    sockets = [
        listener(f"127.0.0.{number}", 8000, inode=number, **{"pids": tuple(one.pid for one in group), **fields})
        for number, group in enumerate(groups, 1)
    ]
    seen = scene(*sockets, processes=tuple(one for group in groups for one in group), uid=uid)
    return advise(diagnosis(seen, endpoint(8000)), seen)


def hidden(process: Process, uid: int | None) -> Diagnosis:
    seen = scene(listener(port=8000, pids=None), hidden={7: process}, uid=uid)
    return advise(diagnosis(seen, endpoint(8000)), seen)


FREE = blank(8000)


# Plans


def test_a_process_is_signalled() -> None:
    (step,) = plan(held(node()), BO).steps
    assert (step.command, [process.pid for process in step.signalled]) == (None, [812])


def test_a_service_is_stopped_by_its_manager_not_by_a_signal() -> None:
    worker = APACHE._replace(pid=106, parent_pid=104, role="worker")
    (step,) = plan(held([APACHE, worker]), ROOT).steps
    assert (step.command, step.signalled) == (("systemctl", "stop", "apache2.service"), ())


def test_a_hidden_service_can_be_stopped_by_root() -> None:
    (step,) = plan(hidden(APACHE._replace(pid=0), 0), ROOT).steps
    assert step.command == ("systemctl", "stop", "apache2.service")


def test_a_socket_unit_goes_with_its_service_although_pid_1_holds_it() -> None:
    service = node(
        227, uid=0, service="echo.service", service_manager="systemd", activation="echo.socket", parent_pid=1
    )
    (step,) = plan(held([SYSTEMD, service]), ROOT).steps
    assert step.command == ("systemctl", "stop", "echo.socket", "echo.service")


def proxy(pid: int, name: str = "web", **known: Any) -> Process:
    container = Container("docker", "4c" * 32, name, **known)
    return Process(pid, "docker-proxy", 0, "root", ("docker-proxy",), role="proxy", container=container, parent_pid=20)


def test_both_proxies_of_a_container_are_one_step() -> None:
    (step,) = plan(held(proxy(157), proxy(162)), ROOT).steps
    assert step.command == ("docker", "stop", "web")
    assert {owner.pid for owner in step.members} == {157, 162}
    assert step.inodes == {1, 2}


def test_containers_on_two_addresses_are_told_apart_by_name() -> None:
    choices = plan(held(proxy(157), proxy(162, "db")), ROOT).advice
    assert [choice.text for choice in choices] == ["stop only docker container web", "stop only docker container db"]


def test_a_compose_service_is_stopped_without_the_compose_plugin() -> None:
    (step,) = plan(held(proxy(157, compose_project="shop", compose_service="web")), ROOT).steps
    assert step.command == ("docker", "stop", "web")


def test_who_may_talk_to_the_engine_may_stop_roots_proxy() -> None:
    assert plan(held(proxy(157), uid=1000), BO).steps


def test_what_starts_it_again_is_signalled_first() -> None:
    watcher = node(70, start_ticks=100)
    child = node(812, supervisor="nodemon", supervisor_pid=70, start_ticks=200)
    (step,) = plan(held(child), BO._replace(supervisors={70: watcher})).steps
    assert [process.pid for process in step.signalled] == [70]
    assert list(intention(held(child), Plan((step,)), force=False))[1] == (
        "  plan: SIGTERM to node (PID 70), which would start it again, then to node (PID 812)"
    )


@pytest.mark.parametrize("supervisors", [{}, {70: node(70, start_ticks=300)}], ids=["gone", "another one's PID by now"])
def test_a_supervisor_that_is_no_more_is_not_signalled(supervisors: dict[int, Process]) -> None:
    child = node(812, supervisor="nodemon", supervisor_pid=70, start_ticks=200)
    (step,) = plan(held(child), BO._replace(supervisors=supervisors)).steps
    assert [process.pid for process in step.signalled] == [812]


def test_workers_with_a_socket_each_are_one_program() -> None:
    """As with SO_REUSEPORT: the same program, started twice by one that holds nothing itself."""
    workers = [node(pid, started_by="shop", supervisor_pid=700) for pid in (812, 813)]
    assert len(plan(held(*workers), BO).steps) == 2


def test_children_of_one_starter_that_run_something_else_are_not() -> None:
    workers = [node(pid, started_by="make", supervisor_pid=700, command=("node", f"{pid}.js")) for pid in (812, 813)]
    assert plan(held(*workers), BO).refusal is not None


def test_parents_that_lead_in_a_circle_are_no_trap() -> None:
    """On Windows a parent's PID may be another process's by now."""
    assert plan(held(node(812, parent_pid=813), node(813, parent_pid=812)), BO).refusal is not None


# Refusals


@pytest.mark.parametrize(
    ("finding", "asker", "reason"),
    [
        (held(node(), uid=1001), BO._replace(uid=1001), "only bo and root can stop node (PID 812)"),
        (held(APACHE, uid=1000), BO, "only root can stop apache2.service"),
        (hidden(APACHE._replace(pid=0), 1000), BO, "only root can stop apache2.service"),
        (hidden(Process(0, uid=0, user="root"), 0), ROOT,
         "root cannot see its process from here: inside a container or sandbox, ask on the host"),
        (held(node(500)), ROOT, "node (PID 500) is portcheck itself, or what it runs in"),
        (held(APACHE), ROOT._replace(own_cgroup="/system.slice/apache2.service"),
         "apache2.service is portcheck itself, or what it runs in"),
        (held(node(1, service=None)), ROOT._replace(own_pids=frozenset()),
         "node (PID 1) is the first process: this whole system or container ends with it"),
        (held(SYSTEMD._replace(activation=None, service=None)), ROOT._replace(own_pids=frozenset()),
         "systemd holds it for a service: find out for which"),
        (held(node(812, supervisor="a shell loop", supervisor_pid=501)), ROOT,
         "a shell loop, which starts node (PID 812) again, runs portcheck too"),
        (held(proxy(157)._replace(container=Container("docker"))), ROOT,
         "docker publishes it for a container: find out for which, and stop that"),
        (held(Process(20, "dockerd", 0, "root", ("dockerd",), publisher="docker")), ROOT,
         "dockerd has it for containers, or for itself: stop what uses the port there, not dockerd"),
        (held(node(supervisor="supervisord", supervisor_pid=70)), ROOT,
         "supervisord starts it again when it ends: stop it there"),
        (held(node(service="-x.service", service_manager="systemd")), ROOT, "what -x.service has it for is not known"),
        (held(proxy(157), proxy(162, "db")), ROOT,
         "docker container web and docker container db have nothing to do with each other; --all stops them all"),
    ],
)  # fmt: skip
def test_what_is_refused(finding: Diagnosis, asker: Asker, reason: str) -> None:
    made = plan(finding, asker)
    assert (made.refusal, made.steps) == (reason, ())


def test_a_refusal_advises_what_does_help() -> None:
    (advice,) = plan(held(APACHE, uid=1000), BO).advice
    assert advice.command == ("sudo", "systemctl", "stop", "apache2.service")
    (choice, _) = plan(held(node(5), node(6)), BO).advice
    assert (choice.text, choice.command) == ("stop only node (PID 5)", ("portcheck", "stop", "8000", "--pid", "5"))


def test_what_refuses_one_refuses_all() -> None:
    assert plan(held(node(5), node(500)), ROOT, everything=True).steps == ()


def unanswered(**known: Any) -> Process:
    return node(**{"supervisor": "supervisord", "supervisor_pid": 70, "claim": "supervisord's web", "confirmed": False,
                   "unanswered": "supervisorctl did not answer within 3 s", **known})  # fmt: skip


def test_what_nobody_has_confirmed_is_ended_by_whoever_names_it_and_nothing_else_with_it() -> None:
    keeper = node(70, start_ticks=1)
    asking = ROOT._replace(supervisors={70: keeper})
    refused = plan(held(unanswered()), asking)
    assert refused.refusal == "supervisorctl did not answer within 3 s: whether it is supervisord's web is not known"
    (step,) = plan(held(unanswered()), asking, pid=812).steps
    assert (step.command, [process.pid for process in step.signalled]) == (None, [812])


def test_an_ordinary_user_is_sent_to_root_with_what_only_root_can_ask() -> None:
    finding = held(unanswered(), uid=1000)
    made = plan(finding, BO)
    assert made.refusal == "supervisorctl did not answer within 3 s: ask as root whether it is supervisord's web"
    assert [advice.command for advice in finding.advice] == [("sudo", "portcheck", "stop", "8000")]


def test_what_is_confirmed_is_left_to_its_manager_even_where_it_is_named() -> None:
    (step,) = plan(held(APACHE._replace(confirmed=True)), ROOT, pid=104).steps
    assert step.command == ("systemctl", "stop", "apache2.service")


def test_a_managers_command_is_given_with_its_own_hands() -> None:
    web = node(supervisor="pm2", supervisor_pid=70, supervised="web", keeper=Hands(1000, "bo"))
    (step,) = plan(held(web), ROOT).steps
    assert step.command == ("sudo", "-u", "bo", "pm2", "stop", "web")
    assert step.order == Order(("pm2", "stop", "web"), Hands(1000, "bo"))
    mine = node(service="my.service", service_manager="systemd --user", keeper=Hands(1000, "bo"))
    (step,) = plan(held(mine), ROOT).steps
    assert step.command == ("systemctl", "--user", "--machine=bo@", "stop", "my.service")
    assert step.order == Order(("systemctl", "--user", "stop", "my.service"), Hands(1000, "bo"))
    (step,) = plan(held(APACHE), ROOT).steps
    assert step.order == Order(("systemctl", "stop", "apache2.service"), Hands())


# What is true afterwards


def after(finding: Diagnosis, before: Diagnosis | None = None, **doing: Any) -> Report:
    before = before or held(node())
    return report(before, plan(before, BO._replace(uid=0)), Doing(finding, NOON, **doing), 0)


def test_free() -> None:
    found = after(FREE)
    assert (found.outcome, found.message) == ("free", "Port 8000 is free now: node (PID 812) has ended.")
    assert after(FREE, held(APACHE)).message == "Port 8000 is free now: apache2.service is stopped."


def test_free_for_all_but_this_user() -> None:
    assert after(blank(8000, verdict="denied", cause="privileged")).outcome == "free"


def test_what_went_wrong_does_not_matter_where_it_is_free() -> None:
    assert "no longer" not in after(FREE, troubles=("PID 812 is no longer node",)).message


def test_still_held_by_the_same_socket_although_its_process_cannot_be_seen_any_more() -> None:
    before = held(node())
    ending = held(node(), pids=None)
    made = plan(before, BO)
    assert is_held(made, ending)
    assert report(before, made, Doing(ending, NOON), 1000).outcome == "held"


def test_held_with_the_reason() -> None:
    before = held(APACHE)
    trouble = "'systemctl stop apache2.service' failed with status 1: Access denied"
    found = after(before, before, troubles=(trouble,))
    assert found.outcome == "held"
    assert found.message.startswith(
        f"Port 8000 is still held ({trouble}): apache2.service, main process apache2 (PID 104"
    )
    assert [advice.command for advice in found.advice] == [("systemctl", "stop", "apache2.service")]


def test_a_process_that_stays_can_be_killed_unless_it_was() -> None:
    before = held(node())
    (advice,) = after(before, before).advice
    assert advice.command == ("portcheck", "stop", "8000", "--force")
    assert after(before, before, killed=True).advice == ()


@pytest.mark.parametrize(
    ("process", "by", "commands"),
    [
        (node(900, service="web.service", service_manager="systemd"), "systemd (web.service)",
         [("systemctl", "stop", "web.service")]),
        (proxy(900, restart_policy="always"), "its container's restart policy (always)", [("docker", "stop", "web")]),
        (node(900, started_by="supervise.py", supervisor_pid=77), "supervise.py (PID 77)",
         [("kill", "77"), ("portcheck", "stop", "8000")]),
        (node(900, supervisor="nodemon", supervisor_pid=77), "nodemon (PID 77)", [("portcheck", "stop", "8000")]),
        (node(900, supervisor="pm2", supervisor_pid=77, supervised="shop", service="pm2.service"), "pm2 (PID 77)",
         [("sudo", "-u", "bo", "pm2", "stop", "shop")]),
    ],
)  # fmt: skip
def test_respawned_by(process: Process, by: str, commands: list[tuple[str, ...]]) -> None:
    found = after(held(process)._replace(sockets=(listener("127.0.0.1", 8000, inode=99, pids=(900,)),)))
    assert found.outcome == "respawned"
    assert found.message.startswith(f"node (PID 812) has ended, but {by} started it again: ")
    assert [advice.command for advice in found.advice] == commands


def test_taken_by_somebody_who_was_waiting_for_it() -> None:
    found = after(held(node(900))._replace(sockets=(listener("127.0.0.1", 8000, inode=99, pids=(900,)),)))
    assert found.message == "node (PID 812) has ended, but port 8000 was taken again: node (PID 900, bo) on 127.0.0.1."


def test_what_cannot_be_told_afterwards() -> None:
    unseen = blank(8000, verdict="unknown", message="Whether port 8000 is free cannot be told: no table.")
    found = after(unseen)
    assert (found.outcome, found.message) == (
        "unknown",
        "node (PID 812) has ended; whether port 8000 is free cannot be told: no table.",
    )


def test_nothing_is_done_where_nothing_can_be_told() -> None:
    unseen = blank(8000, verdict="unknown", message="Whether port 8000 is free cannot be told: no table.")
    found = untouched(unseen, plan(unseen, BO))
    assert (found.outcome, found.message, found.plan.steps) == ("unknown", unseen.message, ())


def test_a_udp_port_is_called_that() -> None:
    socket = listener("127.0.0.1", 8000, pids=(812,), state=None)._replace(protocol="udp")
    seen = scene(socket, processes=(node(),))
    finding = diagnosis(seen, endpoint(8000, "udp"))
    found = report(finding, plan(finding, ROOT), Doing(blank(8000, protocol="udp"), NOON), 0)
    assert found.message == "UDP port 8000 is free now: node (PID 812) has ended."


def test_the_schemas_words_are_ours() -> None:
    schema = json.loads(files("portcheck").joinpath("schema.json").read_text(encoding="utf-8"))
    assert set(schema["$defs"]["stopped"]["properties"]["outcome"]["enum"]) == set(vocabulary("Outcome", outcome))


def test_on_a_terminal_sentences_break_between_words_and_commands_do_not() -> None:
    found = plan(held(APACHE, uid=1000), BO)
    lines = [*voiced(conclusion(untouched(held(APACHE, uid=1000), found)), Canvas(30), "bad")]
    assert [line for line in lines if len(line) > 30] == ["      sudo systemctl stop apache2.service"]
    assert lines[0].startswith("✗ Port ")
    assert any(line.startswith("  → stop the service") for line in lines) or "stop the service" in " ".join(lines)


def test_strangers_text_is_escaped() -> None:
    hostile = node(812)._replace(name="evil\x1b[2J\n", command=("evil\x1b[2J\n",))
    before = held(hostile)
    lines = [*intention(before, plan(before, ROOT), force=False)]
    lines += conclusion(report(before, plan(before, ROOT), Doing(before, NOON), 0))
    assert all(line.isprintable() for line in lines)
    assert any(r"evil\x1b[2J\n (PID 812)" in line for line in lines)


def test_a_client_is_no_holder() -> None:
    client = Socket("tcp", "ipv4", "127.0.0.1", 8000, "127.0.0.1", 9, "ESTABLISHED", pids=(812,), inode=9)
    seen = scene(client, processes=(node(),))
    finding = diagnosis(seen, endpoint(8000))
    assert plan(finding, ROOT, everything=True, pid=812) == Plan()
