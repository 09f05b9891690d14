"""What supervisors are asked, and whether they name a process back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.acquaintances import ID, INIT, listener, process

from portcheck.identify.keepers import (
    Inquiry,
    configuration,
    in_cluster,
    inquiries,
    is_itself,
    named_back,
    of_monit,
    pm2_home,
    starting,
    with_pids,
)
from portcheck.identify.managers import (
    Manager,
    Subject,
    activation_unknown,
    as_keeper,
    below,
    container_unknown,
    keeper_of,
    keeper_unknown,
    unasked,
    unit_unknown,
    units_of,
    unkept,
    with_keeper,
    with_monit,
    with_unit,
)
from portcheck.identify.systemd import Unit, read_control_groups
from portcheck.model import Container, Hands, Process

SUPERVISORD = process("/usr/bin/python3 /usr/bin/supervisord -n -c /etc/shop.conf", 70, uid=0, cwd="/srv")
# supervisor 4.2.5
STATUS = """\
annweb                           RUNNING   pid 812, uptime 0:00:05
shop:web_00                      RUNNING   pid 900, uptime 1 day, 0:00:05
shop:web_01                      STARTING
broken                           FATAL     Exited too quickly (process log may have details)
"""


def kept(**more: Any) -> Process:
    usual: dict[str, Any] = {"uid": 1000, "supervisor": "supervisord", "supervisor_pid": 70, "supervised": "a:lie"}
    return process("node s.js", **{**usual, **more})


# Where they are asked


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 /usr/bin/supervisord -n -c /etc/s.conf", "/etc/s.conf"),
        ("python3 /usr/bin/supervisord --configuration=etc/s.conf", "/srv/etc/s.conf"),
        ("python3 /usr/bin/supervisord -u bo --configuration s.conf", "/srv/s.conf"),
        ("/opt/supervisord -nc/etc/s.conf", "/etc/s.conf"),
        ("python3 /usr/bin/supervisord", None),
    ],
)
def test_the_file_that_supervisord_was_given(command: str, expected: str | None) -> None:
    assert configuration(process(command, cwd="/srv")) == expected


def test_a_server_that_a_program_of_another_user_names_is_not_asked() -> None:
    """It would be sent the password that is in supervisord's own file."""
    url = "http://198.51.100.9:80"
    mine, anothers = kept(uid=0, supervisor_url=url), kept(supervisor_url=url)
    (own, plain), (others,) = inquiries(SUPERVISORD, mine), inquiries(SUPERVISORD, anothers)
    assert plain.argv == ("supervisorctl", f"--serverurl={url}", "status")
    assert own.argv == ("supervisorctl", "--configuration=/etc/shop.conf", f"--serverurl={url}", "status")
    assert others.argv == ("supervisorctl", "--configuration=/etc/shop.conf", "status")
    assert (own.server_url, others.server_url, own.files) == (url, None, ("/etc/shop.conf",))


def test_pm2_is_asked_in_the_home_that_its_daemon_names() -> None:
    daemon = process(("PM2 v5.4.2: God Daemon (/home/ann/.pm2)",), 70)
    (asked,) = inquiries(daemon, kept(supervisor="pm2"))
    assert (asked.argv, asked.variables) == (("pm2", "jlist"), (("PM2_HOME", "/home/ann/.pm2"),))
    assert (asked.files, asked.pid_file) == (("/home/ann/.pm2",), "/home/ann/.pm2/pm2.pid")
    assert pm2_home(process(("PM2 v5: God Daemon (here)",))) is None
    assert inquiries(process("node pm2/lib/Daemon.js"), kept(supervisor="pm2")) == ()


@pytest.mark.parametrize(
    ("word", "argv"),
    [("runit", ("sv", "status")), ("s6", ("s6-svstat",)), ("daemontools", ("svstat",))],
)
def test_service_directories_are_those_of_the_supervisor(word: str, argv: tuple[str, ...]) -> None:
    (asked,) = inquiries(process("runsv web", 70, cwd="/etc/service/web"), kept(supervisor=word))
    assert asked == Inquiry((*argv, "/etc/service/web"), ("/etc/service/web", "/etc/service/web/supervise"))
    assert inquiries(process("runsv web", 70), kept(supervisor=word)) == ()


# What they answer


def test_supervisord_names_a_program_by_its_pid() -> None:
    assert named_back(kept(), SUPERVISORD, STATUS, (812,)) == "annweb"
    assert named_back(kept(), SUPERVISORD, STATUS, (1, 900)) == "shop:web_00"
    assert named_back(kept(), SUPERVISORD, STATUS, (5,)) is None
    assert starting(STATUS) == ("shop:web_01",)
    assert named_back(kept(), SUPERVISORD, with_pids(STATUS, starting(STATUS), "901\n"), (901,)) == "shop:web_01"


APPS = [{"name": "web", "pid": 812, "pm2_env": {"exec_mode": "fork_mode"}},
        {"name": "shop", "pid": 900, "pm2_env": {"exec_mode": "cluster_mode"}},
        {"name": "shop", "pid": 901, "pm2_env": {"exec_mode": "cluster_mode"}}, {"name": 7}, None]  # fmt: skip


def test_pm2_names_a_program_by_its_pid() -> None:
    web = kept(supervisor="pm2")
    answer = f">>>> In-memory PM2 is out-of-date\n{json.dumps(APPS)}\n"
    assert named_back(web, SUPERVISORD, answer, (812,)) == "web"
    assert named_back(web, SUPERVISORD, answer, (5,)) is None
    assert in_cluster(answer) == "shop"
    for nonsense in ("", "nonsense", "{}", "[" * 100_000, '[{"name": "x", "pm2_env": 5}]'):
        assert named_back(web, SUPERVISORD, nonsense, (812,)) is None
        assert in_cluster(nonsense) is None


@pytest.mark.parametrize(
    ("word", "answer"),
    [("runit", "run: /etc/service/web: (pid 812) 5s; run: log: (pid 813) 5s"), ("s6", "up (pid 812) 5 seconds"),
     ("s6", "up (pid 812 pgid 812) 5 seconds"), ("daemontools", "/etc/service/web: up (pid 812) 5 seconds")],
)  # fmt: skip
def test_a_service_directory_names_its_process(word: str, answer: str) -> None:
    runsv, subject = process("runsv web", 70, cwd="/etc/service/web"), kept(supervisor=word)
    assert named_back(subject, runsv, answer, (812,)) == "/etc/service/web"
    assert named_back(subject, runsv, answer, (81, 813)) is None  # the log's writer is no web


def test_a_supervisor_that_holds_the_port_itself() -> None:
    supervisord = SUPERVISORD._replace(supervises="supervisord")
    daemon = process("PM2", 71, supervises="pm2", supervisor="pm2", supervisor_pid=71)
    (asked,) = inquiries(supervisord, supervisord)
    assert asked.argv[-1] == "pid"
    assert (is_itself(supervisord, "70\n"), is_itself(supervisord, "71\n"), is_itself(daemon, "")) == (
        True,
        False,
        False,
    )
    asked_before = Inquiry(("supervisorctl",), server_url="unix:///run/s")

    def answered(subject: Process, answer: str, *sharing: int) -> Process:
        return as_keeper(Subject(subject, (listener(pids=(70, *sharing)),)), answer, asked_before, Hands(0))

    assert answered(supervisord, f"70\n{STATUS}").confirmed is True
    assert answered(supervisord, f"71\n{STATUS}").supervises is None
    shop = answered(daemon, json.dumps(APPS))
    assert (shop.supervised, shop.supervises, shop.confirmed) == ("shop", None, True)
    assert answered(daemon, "[]").supervises == "pm2"
    # a [fcgi-program:], whose socket supervisord closes with the last of its processes
    for pids, name in [((812,), "annweb"), ((900, 902), "shop:*"), ((812, 900), None), ((5,), None)]:
        told = answered(supervisord, f"70\n{STATUS}web x\nshop:web_02     RUNNING   pid 902, uptime 0:00:05\n", *pids)
        assert (told.supervised, told.supervises) == (name, None if name else "supervisord")
        assert told.supervisor_url == "unix:///run/s"


# What becomes of the process


def test_whose_supervisor_is_asked() -> None:
    shell = process("sh -c x", 80)
    subject = Subject(kept(), (), None, (shell, SUPERVISORD, INIT))
    assert keeper_of(subject) == SUPERVISORD
    assert below(subject, SUPERVISORD) == (812, 80)
    for other in (kept(container=Container("lxc", name="c")), kept(supervisor="nodemon"), process("x")):
        assert keeper_of(subject._replace(process=other)) is None
    assert keeper_of(Subject(SUPERVISORD._replace(supervises="supervisord"), ())) is not None


def test_a_supervisor_that_cannot_be_asked_confirms_nothing() -> None:
    subject = Subject(kept(supervisor="OpenRC"), (), None, (SUPERVISORD,))
    assert keeper_of(subject) is None
    assert unkept(subject) == subject.process._replace(confirmed=False)
    plain = Subject(kept(supervisor="nodemon"), (), None, (SUPERVISORD,))
    assert unkept(plain) == plain.process


def test_roots_supervise_daemon_names_its_service() -> None:
    """Anybody can give a process that name, but not that program to one of root's."""
    daemon = process("supervise-daemon web --start /srv/web", 70, uid=0, executable="/sbin/supervise-daemon")
    subject = Subject(kept(supervisor="OpenRC", supervised="web"), (), None, (daemon,))
    assert (unkept(subject).confirmed, unkept(subject).keeper) == (True, Hands(0, "root"))
    for other in (daemon._replace(uid=1000), daemon._replace(executable="/usr/bin/su")):
        assert unkept(subject._replace(ancestors=(other,))).confirmed is False


CIRCUSD = process("/srv/bin/python3 bin/circusd --log-level debug --daemon etc/circus.ini", 70, uid=0, cwd="/srv")
CIRCUS_INI = """\
[watcher:web]
endpoint = none
[circus]
check_delay = 5
endpoint = tcp://127.0.0.1:6555
"""
# circus 0.19
STATS = """\
{"status": "ok", "time": 1795875541.1, "infos": {"sock": {"30": {"cmdline": "python3", "children": []}},
"web": {"812": {"cmdline": "python3", "children": []}}, "odd": "x", "x": {"y": 1}}, "id": "c41d"}
"""


def test_circus_is_asked_where_its_own_file_says() -> None:
    files = {"/srv/etc/circus.ini": CIRCUS_INI}
    (asked,) = inquiries(CIRCUSD, kept(supervisor="circus"), lambda file: files.get(file, ""))
    assert asked.argv == ("circusctl", "--endpoint=tcp://127.0.0.1:6555", "--json", "stats")
    (usual,) = inquiries(CIRCUSD, kept(supervisor="circus"))
    assert usual.server_url == "tcp://127.0.0.1:5555"
    (itself,) = inquiries(CIRCUSD, CIRCUSD._replace(supervises="circus"))
    assert itself.argv[-1] == "dstats"


def test_circus_names_a_program_by_its_pid() -> None:
    web, answer = kept(supervisor="circus"), STATS.replace("\n", "")
    assert named_back(web, CIRCUSD, answer, (812,)) == "web"
    for other in (answer.replace("812", "813"), "", "[]", "null", '{"infos": 5}', "{" * 100_000):
        assert named_back(web, CIRCUSD, other, (812,)) is None
    circusd = CIRCUSD._replace(supervises="circus")
    assert is_itself(circusd, '{"status": "ok", "info": {"pid": 70}}')
    assert not is_itself(circusd, '{"status": "ok", "info": {"pid": 71}}')
    assert not is_itself(circusd, "error")


def test_dinit_names_a_service_by_its_pid() -> None:
    dinit, web = process("dinit", 70), kept(supervisor="dinit")
    (asked,) = inquiries(dinit, web)
    assert asked.argv == ("dinitctl", "list")
    answer = "[[+]     ] boot\n[{+}     ] web (pid: 812)\n[     {X}] broken\n"
    assert named_back(web, dinit, answer, (812,)) == "web"
    assert named_back(web, dinit, answer, (81,)) is None


# monit 5.33
MONIT = """\
Monit 5.33.0 uptime: 0m

Process 'web'
  status                       OK
  monitoring status            Monitored
  monitoring mode              active
  on reboot                    start
  pid                          812
  parent pid                   1

Process 'left'
  status                       Not monitored
  monitoring status            Not monitored
  monitoring mode              active
  pid                          900

Process 'watched'
  status                       OK
  monitoring status            Monitored
  monitoring mode              passive
  pid                          901

System 'vm'
  status                       OK
"""


def test_monit_names_what_it_starts_again() -> None:
    assert of_monit(MONIT) == {812: "web"}
    assert of_monit("") == {}


def test_what_monit_keeps_is_no_child_of_it() -> None:
    monit, hands = process("/usr/bin/monit -d 5 -c /etc/m.conf", 60), Hands(0, "root")
    worker = Subject(process("worker", 813), (), None, (process("web", 812), INIT))
    told = with_monit(worker, monit, {812: "web", 1: "all"}, hands)
    assert (told.supervisor, told.supervisor_pid, told.supervised) == ("monit", 60, "web")
    assert (told.supervisor_config, told.keeper, told.confirmed) == ("/etc/m.conf", hands, True)
    for other in (process("x", 7), kept(), process("x", container=Container("lxc", name="c"))):
        subject = Subject(other, (), None, (INIT,))
        assert with_monit(subject, monit, {1: "all", 812: "web"}, hands) == other


def test_what_a_supervisor_says_and_does_not_say() -> None:
    asked = Inquiry(("supervisorctl",), configuration="/etc/s.conf")
    named = with_keeper(kept(), "annweb", asked, Hands(0, "root"))
    assert (named.supervised, named.confirmed, named.keeper) == ("annweb", True, Hands(0, "root"))
    denied = with_keeper(kept(), None, asked, Hands(0, "root"))
    assert (denied.supervisor, denied.supervised, denied.supervisor_pid) == (None, None, None)
    assert (denied.confirmed, denied.claim) == (False, "supervisord's a:lie")
    silent = keeper_unknown(kept(), "supervisorctl did not answer")
    assert (silent.supervisor, silent.supervised, silent.confirmed) == ("supervisord", None, False)
    assert silent.unanswered == "supervisorctl did not answer"


SHOWN = """\
ControlGroup=/system.slice/web.service
Id=web.service
MainPID=812
ActiveState=active

ControlGroup=/system.slice/left.service
Id=left.service
MainPID=0
ActiveState=inactive

Id=none.service
ControlGroup=
ActiveState=inactive
"""


def test_a_unit_has_what_is_in_its_cgroup_while_it_runs() -> None:
    units = read_control_groups(SHOWN)
    web = units["web.service"]
    assert web == Unit("web.service", "/system.slice/web.service", 812)
    assert web.has("/system.slice/web.service")
    assert web.has("/system.slice/web.service/worker")
    assert not web.has("/system.slice/web.service2")
    assert not web.has(None)
    assert not units["left.service"].has("/system.slice/left.service")
    assert not units["none.service"].has("/system.slice/none.service")


def test_a_service_is_confirmed_by_its_cgroup() -> None:
    web = process("web", cgroup="/system.slice/web.service", service="web.service", service_manager="systemd")
    subject, unit = Subject(web, ()), read_control_groups(SHOWN)["web.service"]
    assert units_of(subject) == (Manager(), "web.service")
    assert with_unit(subject, unit, Manager(), Hands()).confirmed is True
    elsewhere = subject._replace(process=web._replace(cgroup="/ann.slice/web.service"))
    for told in (with_unit(elsewhere, unit, Manager(), Hands()), with_unit(subject, None, Manager(), Hands())):
        assert (told.service, told.confirmed, told.claim) == (None, False, "web.service")
    silent = unit_unknown(subject, "systemctl did not answer")
    assert (silent.service, silent.confirmed, silent.unanswered) == ("web.service", False, "systemctl did not answer")
    strangers = unit_unknown(subject._replace(is_roots_word=False), "systemctl did not answer")
    assert (strangers.service, strangers.claim) == (None, "web.service")


def test_a_users_service_is_commanded_as_that_user() -> None:
    path = "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service"
    web = process("web", cgroup=path, service="web.service", service_manager="systemd --user")
    subject, hands = Subject(web, ()), Hands(1000, "bo")
    assert units_of(subject) == (Manager(1000), "web.service")
    assert with_unit(subject, Unit("web.service", path), Manager(1000), hands).keeper == hands


def test_a_users_socket_unit_is_never_taken_for_the_systems_of_that_name() -> None:
    path = "/user.slice/user-1000.slice/user@1000.service/other"
    web = process("web", cgroup=path, service="web.service", service_manager="systemd --user", activation="ssh.socket")
    told = with_unit(Subject(web, ()), None, Manager(1000), Hands(1000))
    assert (told.service, told.activation, told.service_manager) == (None, "ssh.socket", "systemd --user")


def test_the_unit_around_a_container_is_asked_for_too() -> None:
    """As podman's quadlets are: the unit is what is stopped."""
    quadlet = process("x", container=Container("podman", ID), service="db.service", service_manager="systemd")
    assert units_of(Subject(quadlet, ())) == (Manager(), "db.service")


def test_a_socket_unit_of_which_its_manager_says_nothing() -> None:
    held = Process(0, activation="a.socket", service_manager="systemd", role=None)
    told = activation_unknown(Subject(held, ()), "systemctl did not answer")
    assert (told.activation, told.confirmed, told.unanswered) == ("a.socket", False, "systemctl did not answer")
    assert activation_unknown(Subject(INIT, ()), "systemctl did not answer") == INIT


def test_a_users_manager_is_the_one_of_its_unit() -> None:
    manager = process("/lib/systemd/systemd --user", 92, uid=1000, user="bo", role="service manager")
    subject = Subject(manager, ())
    assert units_of(subject) == (Manager(), "user@1000.service")
    assert with_unit(subject, Unit("user@1000.service", "/x", 92), Manager(), Hands()).confirmed is True
    told = with_unit(subject, Unit("user@1000.service", "/x", 93), Manager(), Hands())
    assert (told.role, told.confirmed, told.claim) == (None, False, "the systemd of bo")


@pytest.mark.parametrize("service_manager", [None, "launchd", "windows", "systemd in a container"])
def test_other_managers_are_not_asked(service_manager: str | None) -> None:
    assert units_of(Subject(process("web", service="web", service_manager=service_manager), ())) is None
    assert units_of(Subject(INIT._replace(role="service manager", service="a.service"), ())) is None


def test_an_engine_that_gives_no_answer() -> None:
    inside = process("nginx", container=Container("docker", ID), cgroup=f"/docker/{ID}", uid=33)
    silent = container_unknown(Subject(inside, ()), "docker did not answer", Hands())
    assert (silent.container, silent.confirmed, silent.unanswered) == (inside.container, False, "docker did not answer")
    strangers = container_unknown(Subject(inside, (), is_roots_word=False), "docker did not answer", Hands())
    assert (strangers.container, strangers.claim) == (None, f"docker container {ID[:12]}")
    assert strangers.unanswered == "docker did not answer"
    proxy = process("docker-proxy", role="proxy", container=Container("docker"), uid=0)
    assert container_unknown(Subject(proxy, (listener(),)), "docker did not answer", Hands()) == proxy
    fake = container_unknown(Subject(proxy._replace(uid=4001), ()), "docker did not answer", Hands(4001))
    assert (fake.role, fake.container, fake.confirmed) == (None, None, False)


def test_what_a_users_cgroups_say_of_containers_is_a_claim_where_nobody_is_asked() -> None:
    path = f"/user.slice/user-1001.slice/user@1001.service/libpod-{ID}.scope"
    podmans = Subject(process("x", container=Container("podman", ID), cgroup=path), (), is_roots_word=False)
    told = unasked(podmans, 1000)
    assert (told.container, told.claim) == (None, f"podman container {ID[:12]}")
    assert told.unanswered == "podman answers its own user and root alone"
    assert unasked(podmans, 0) == podmans.process  # who asks it
    lxc = podmans._replace(process=process("x", container=Container("lxc", name="web"), cgroup=path))
    assert (unasked(lxc, 0).container, unasked(lxc, 0).claim) == (None, "lxc container web")
    assert unasked(lxc._replace(is_roots_word=True), 0) == lxc.process
