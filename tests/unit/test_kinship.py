"""Which holders of a port belong together, and who ends with whom: decided from values alone."""

from __future__ import annotations

from typing import Any

import pytest
from support.scenes import diagnosis, endpoint, listener, scene

from portcheck.identify.holders import groups
from portcheck.identify.supervisors import ancestor
from portcheck.model import Ancestor, Container, Diagnosis, Process, Socket
from portcheck.render.stop import intention
from portcheck.stop.company import endings, parts
from portcheck.stop.outcome import Doing, newcomers, report
from portcheck.stop.plan import Asker, Plan, ended_by, plan

ASKER = Asker(0, frozenset((1, 500)))
INIT = Ancestor(1, 1, 0, is_host=True)
SHELL = Ancestor(700, 7000, 1000, is_host=True)
ROOT, ANN, MALLORY = 0, 1000, 4001


def program(pid: int, uid: int = ANN, above: tuple[Ancestor, ...] = (INIT,), **known: Any) -> Process:
    usual = {"command": (f"program{pid}",), "start_ticks": pid * 10, "session_id": pid, "user": f"user{uid}"}
    return Process(pid, f"program{pid}", uid, parent_pid=above[0].pid, ancestors=above, **{**usual, **known})


def of(process: Process, **known: Any) -> Ancestor:
    """A process as the ancestor of another one."""
    return Ancestor(process.pid, process.born, process.uid, **known)


def shared(*holders: Process, made_by: int = ANN) -> Diagnosis:
    """One socket, which all of them hold."""
    socket = listener("127.0.0.1", 8000, pids=tuple(one.pid for one in holders), uid=made_by)
    return diagnosis(scene(socket, processes=holders), endpoint(8000))


def families(finding: Diagnosis) -> list[list[int | None]]:
    return [[owner.pid for owner in group.members] for group in groups(finding)]


MAIN = program(10)
ROOTS_MAIN = program(10, ROOT)


@pytest.mark.parametrize(
    ("holders", "made_by"),
    [
        ((MAIN, program(11, ANN, (of(MAIN), INIT))), ANN),
        ((ROOTS_MAIN, program(11, 33, (of(ROOTS_MAIN), INIT))), ROOT),
        ((MAIN, program(12, ANN, (Ancestor(11, 110, ANN), of(MAIN), INIT))), ANN),
        ((program(11, ANN, (Ancestor(9, 90, ANN), SHELL)), program(12, ANN, (Ancestor(9, 90, ANN), SHELL))), ANN),
        ((program(11, ANN, (Ancestor(9, 90, ROOT), INIT)), program(12, ANN, (Ancestor(9, 90, ROOT), INIT))), ROOT),
        ((program(11, session_id=9), program(12, session_id=9)), ANN),
        ((program(11, command=("gunicorn",)), program(12, command=("gunicorn",))), ANN),
        # one tie is enough for each of them
        ((program(11, session_id=9), program(12, session_id=9, command=("w",)), program(13, command=("w",))), ANN),
    ],
    ids=["worker", "worker of root's", "grandchild", "one starter", "root's starter", "session", "command", "chain"],
)  # fmt: skip
def test_relatives(holders: tuple[Process, ...], made_by: int) -> None:
    assert len(families(shared(*holders, made_by=made_by))) == 1


@pytest.mark.parametrize(
    ("holders", "made_by"),
    [
        ((ROOTS_MAIN, program(11, MALLORY)), ROOT),
        ((ROOTS_MAIN, program(11, MALLORY)), MALLORY),
        ((program(10, ROOT), program(11, ROOT)), ROOT),
        # what another user chooses proves nothing
        ((program(11, ROOT, command=("web",)), program(12, MALLORY, command=("web",))), ROOT),
        ((program(11, ROOT, session_id=9), program(12, MALLORY, session_id=9)), ROOT),
        # one starter, and not of one user: a session's host, or an administrator's script
        ((program(11, ROOT, (Ancestor(9, 90, ROOT), INIT)), program(12, MALLORY, (Ancestor(9, 90, ROOT), INIT))), ROOT),
        ((program(11, ANN, (SHELL,), session_id=700), program(12, ANN, (SHELL,), session_id=700)), ANN),
        # root's process below a stranger's (sudo), and above it, where the stranger has made the socket
        ((program(10, MALLORY), program(11, ROOT, (Ancestor(10, 100, MALLORY), INIT))), MALLORY),
        ((ROOTS_MAIN, program(11, MALLORY, (of(ROOTS_MAIN), INIT))), MALLORY),
        # a PID that was another process's when the child was born
        ((MAIN, program(11, ANN, (of(MAIN)._replace(born=1), INIT))), ANN),
    ],
    ids=[
        "given by root", "given to root", "of one user", "its command", "its session", "one starter", "one shell",
        "sudo", "handed up", "another one's PID",
    ],
)  # fmt: skip
def test_strangers(holders: tuple[Process, ...], made_by: int) -> None:
    finding = shared(*holders, made_by=made_by)
    assert families(finding) == [[one.pid] for one in holders]
    made = plan(finding, ASKER)
    first, second = holders
    assert made.refusal == (
        f"program{first.pid} (PID {first.pid}) and program{second.pid} (PID {second.pid})"
        " have nothing to do with each other; --all stops them all"
    )
    assert [step.signalled for step in plan(finding, ASKER, everything=True).steps] == [(first,), (second,)]
    (one,) = plan(finding, ASKER, pid=second.pid).steps
    assert (one.signalled, one.inodes) == ((second,), frozenset())  # a stranger keeps the socket


def test_a_grandchild_is_no_root() -> None:
    grandchild = program(12, ANN, (Ancestor(11, 110, ANN), of(MAIN), INIT))
    (step,) = plan(shared(MAIN, grandchild), ASKER).steps
    assert step.signalled == (MAIN,)


def test_a_port_of_another_user_with_a_socket_of_its_own_is_another_program() -> None:
    """Even below the main process, if that is no root's."""
    above = program(10, MALLORY)
    below = program(11, ROOT, (of(above), INIT))
    sockets = [listener(f"127.0.0.{one.pid}", 8000, inode=one.pid, pids=(one.pid,)) for one in (above, below)]
    finding = diagnosis(scene(*sockets, processes=(above, below)), endpoint(8000))
    assert plan(finding, ASKER).refusal is not None


def test_nobody_outside_of_the_plan_is_left_to_it() -> None:
    """Who holds the port afterwards is told, and named to whoever is asked again."""
    before, heir = shared(MAIN), program(20)
    made, after = plan(before, ASKER), shared(heir)
    after = after._replace(sockets=(after.sockets[0]._replace(inode=99),))
    assert newcomers(made, after) == (heir,)
    assert newcomers(made, before) == ()
    assert report(before, made, Doing(after), 0).outcome == "respawned"


# What is said to have ended


def test_a_process_that_has_let_go_and_goes_on_has_not_ended() -> None:
    before = shared(MAIN)
    free = before._replace(verdict="free", cause=None, sockets=(), owners=())
    done = report(before, plan(before, ASKER), Doing(free, living=(MAIN,)), 0)
    assert (done.outcome, done.message) == (
        "free", "Port 8000 is free now: program10 (PID 10) let go of it and still runs.",
    )  # fmt: skip


def test_the_program_of_a_supervisor_is_not_the_unit_that_the_supervisor_is() -> None:
    held = program(10, ANN, (Ancestor(5, 50, ROOT), INIT), supervisor="runit", supervised="/etc/service/web")
    held = held._replace(service="runit.service", service_manager="systemd", cgroup="/system.slice/runit.service")
    before = shared(held)
    made = plan(before, ASKER)
    free = before._replace(verdict="free", cause=None, sockets=(), owners=())
    assert report(before, made, Doing(free), 0).message == "Port 8000 is free now: runit's /etc/service/web is stopped."
    everybody = {pid: resident(pid, parent, cgroup=held.cgroup) for pid, parent in ((5, 1), (10, 5), (11, 5), (12, 10))}
    assert parts(made, everybody, unread) == ({10: "ends with it", 12: "may end with it"},)


# Who ends with it


def unread(pid: int) -> Process:
    raise AssertionError(f"{pid} need not be read")


def resident(pid: int, parent: int = 1, **known: Any) -> Process:
    return Process(pid, f"program{pid}", parent_pid=parent, start_ticks=pid * 10, **known)


def test_workers_and_children_by_what_is_sure() -> None:
    worker = program(11, ANN, (of(MAIN), INIT))
    made = plan(shared(MAIN, worker), ASKER)
    everybody = {pid: resident(pid, parent) for pid, parent in ((10, 1), (11, 10), (12, 10), (13, 12), (14, 1))}
    everybody[15] = resident(15, 10)._replace(start_ticks=1)  # a child of one that had this PID before
    assert parts(made, everybody, unread) == (
        {10: "signalled", 11: "ends with it", 12: "may end with it", 13: "may end with it"},
    )


def test_launchers_and_runners_above_it() -> None:
    runner, again = Ancestor(5, 50, ANN, ends_together=True), Ancestor(6, 60, ANN, ends_together=True)
    launcher = Ancestor(7, 70, ANN, is_launcher=True)
    held = program(10, ANN, (launcher, again, runner, SHELL))
    everybody = {pid: resident(pid, parent) for pid, parent in ((5, 700), (6, 5), (7, 6), (10, 7), (8, 5), (9, 8))}
    (those,) = parts(plan(shared(held), ASKER), everybody, unread)
    assert those == {10: "signalled", **dict.fromkeys((5, 6, 7, 8, 9), "ends with it")}
    (those,) = parts(plan(shared(program(10, ANN, (launcher, SHELL))), ASKER), everybody, unread)
    assert those == {10: "signalled", 7: "may end with it"}
    (those,) = parts(plan(shared(program(10, ANN, (launcher._replace(born=1), SHELL))), ASKER), everybody, unread)
    assert those == {10: "signalled"}


def test_a_starter_that_nobody_knows_as_a_runner() -> None:
    """It may end its other programs too; what has started portcheck itself goes on."""
    starter = Ancestor(5, 50, ANN)
    held = program(10, ANN, (starter, Ancestor(4, 40, ANN), SHELL))
    everybody = {pid: resident(pid, parent) for pid, parent in ((4, 700), (5, 4), (10, 5), (6, 5), (7, 6), (8, 4))}
    (those,) = parts(plan(shared(held), ASKER), everybody, unread)
    assert those == {10: "signalled", **dict.fromkeys((5, 6, 7), "may end with it")}
    (those,) = parts(plan(shared(held), ASKER), everybody, unread, asking=(5, 4))
    assert those == {10: "signalled"}


def test_the_whole_machine_goes_with_its_container() -> None:
    """Not only the unit in it that has the port."""
    scope = "/machine.slice/machine-m.scope"
    inside: dict[str, Any] = {
        "container": Container("systemd-nspawn", name="m"),
        "service_manager": "systemd in a container",
    }
    held = program(10, ROOT, service="web.service", cgroup=f"{scope}/payload/system.slice/web.service", **inside)
    others = {11: f"{scope}/payload/init.scope", 12: "/machine.slice/machine-n.scope", 13: "/system.slice/web.service"}
    everybody = {10: held, **{pid: resident(pid, cgroup=path) for pid, path in others.items()}}
    (those,) = parts(plan(shared(held), ASKER), everybody, unread)
    assert those == {10: "ends with it", 11: "ends with it"}


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        (("python3", "/usr/bin/honcho", "start"), True),
        (("foreman: master",), True),
        (("node", "/app/node_modules/.bin/concurrently", "-k", "npm:a", "npm:b"), True),
        (("node", "/app/node_modules/.bin/concurrently", "npm:a", "npm:b"), False),
        (("make", "-j2"), False),
    ],
)
def test_runners_that_end_everything_together(command: tuple[str, ...], ends: bool) -> None:
    assert ancestor(Process(5, command[0].rpartition("/")[2][:15], command=command)).ends_together == ends


def test_the_members_of_a_unit() -> None:
    main = program(10, ROOT, service="web.service", service_manager="systemd", cgroup="/system.slice/web.service/a")
    everybody = {
        10: resident(10, cgroup="/system.slice/web.service/a"),
        11: resident(11, cgroup="/system.slice/web.service"),
        12: resident(12, cgroup="/system.slice/web.service2"),
        13: resident(13, 10, cgroup="/user.slice"),
    }
    assert parts(plan(shared(main), ASKER), everybody, unread) == ({10: "ends with it", 11: "ends with it"},)


def test_what_a_container_takes_along() -> None:
    """What runs in it, and the proxies of its other ports."""
    box = Container("docker", "4c" * 32, "web")
    targets = {10: "10.0.0.2", 11: "10.0.0.2", 12: "10.0.0.3"}
    proxies = {
        pid: resident(pid, 2, command=("docker-proxy", "-container-ip", address))._replace(name="docker-proxy")
        for pid, address in targets.items()
    }
    held = proxies[10]._replace(role="proxy", container=box, cgroup="/system.slice/docker.service")
    everybody = {**proxies, 20: resident(20, 3, cgroup=f"/system.slice/docker-{box.id}.scope"), 21: resident(21, 3)}
    (those,) = parts(plan(shared(held), ASKER), everybody, proxies.__getitem__)
    assert those == dict.fromkeys((10, 11, 20), "ends with it")


def test_who_is_signalled_in_one_step_is_told_there() -> None:
    child = program(11, ANN, (of(MAIN), INIT))
    sockets = [listener(f"127.0.0.{one.pid}", 8000, inode=one.pid, pids=(one.pid,)) for one in (MAIN, child)]
    finding = diagnosis(scene(*sockets, processes=(MAIN, child)), endpoint(8000))
    made = plan(finding, ASKER)
    everybody = {10: resident(10), 11: resident(11, 10)}
    assert parts(made, everybody, unread) == ({10: "signalled"}, {11: "signalled"})


def test_what_else_they_serve() -> None:
    finding = shared(MAIN)
    held = {
        10: [*finding.sockets, listener("0.0.0.0", 8404), Socket("udp", "ipv4", "0.0.0.0", 53),
             Socket("udp", "ipv4", "0.0.0.0", 4000, "192.0.2.1", 53), listener("127.0.0.2", 8000)],
    }  # fmt: skip
    (ending,) = endings({10: "signalled"}, {10: MAIN}.__getitem__, held, finding)
    assert ending.also_serves == ("53/udp", 8000, 8404)


def test_whom_nobody_would_expect_comes_first() -> None:
    finding = shared(MAIN)
    foreign = resident(13, uid=MALLORY, user="mallory")
    everybody = {10: MAIN, 11: resident(11, uid=ANN), 12: resident(12, uid=ANN), 13: foreign}
    those = endings({10: "signalled", 11: "ends with it", 12: "ends with it", 13: "ends with it"},
                    everybody.__getitem__, {12: [listener("0.0.0.0", 8404)]}, finding)  # fmt: skip
    assert [ending.process.pid for ending in those] == [10, 12, 13, 11]
    (step,) = plan(finding, ASKER).steps
    _, first, second = intention(finding, Plan((step._replace(endings=those),)), force=False)
    assert first == "  plan: SIGTERM to program10 (PID 10)"
    assert second == (
        "  ends with it: program12 (PID 12, also serves 8404), program13 (PID 13, mallory) and program11 (PID 11)"
    )


def test_strangers_names_are_escaped() -> None:
    finding = shared(MAIN)
    rude = resident(11, uid=ANN)._replace(name="evil\x1b[2J\n")
    those = endings({10: "signalled", 11: "may end with it"}, {10: MAIN, 11: rude}.__getitem__, {}, finding)
    (step,) = plan(finding, ASKER).steps
    lines = [*intention(finding, Plan((step._replace(endings=those),)), force=True)]
    assert lines[2] == r"  may end with it: evil\x1b[2J\n (PID 11)"


@pytest.mark.parametrize(
    ("name", "command", "signal"),
    [
        ("nginx", ("nginx: master process nginx",), "SIGQUIT"),
        ("postgres", ("/usr/lib/bin/postgres", "-D", "/x"), "SIGINT"),
        ("node", ("node", "postgres.js"), "SIGTERM"),
    ],
)
def test_the_signal_that_ends_a_server_in_order(name: str, command: tuple[str, ...], signal: str) -> None:
    held = program(10)._replace(name=name, command=command)
    assert ended_by(held) == signal
    finding = shared(held)
    _, line = intention(finding, plan(finding, ASKER), force=False)
    assert line.startswith(f"  plan: {signal} to {name}")
