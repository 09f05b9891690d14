"""Who a process is, from facts: roles, supervisors, sessions, services, conditions."""

from __future__ import annotations

import pytest
from support.acquaintances import ID, INIT, OTHER_ID, facts, listener, process

from portcheck.identify.cgroup import Authorship
from portcheck.identify.containers import proxy
from portcheck.identify.facts import ProjectFile
from portcheck.identify.roles import activators, by_title, condition, leaders, role
from portcheck.identify.sessions import session
from portcheck.identify.super_servers import services_file
from portcheck.identify.supervisors import Supervision, supervision
from portcheck.identify.who import who_is, who_is_hidden
from portcheck.model import Container, Process, Socket

SHELL = process("-bash", 700)
TMUX = process(("tmux: server",), 600)
USER_MANAGER = process(
    "/lib/systemd/systemd --user", 500, cgroup="/user.slice/user-1000.slice/user@1000.service/init.scope"
)


# Roles


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("nginx: master process /usr/sbin/nginx -g daemon on;", "main"),
        ("nginx: worker process", "worker"),
        ("gunicorn: master [shop.wsgi]", "main"),
        ("gunicorn: worker [shop.wsgi]", "worker"),
        ("php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)", "main"),
        ("php-fpm: pool www", "worker"),
        ("unicorn master -c config/unicorn.rb", "main"),
        ("unicorn worker[0] -c config/unicorn.rb", None),
        ("puma: cluster worker 0: 812 [shop]", "worker"),
        ("uWSGI master", "main"),
        ("nginx: cache manager process", None),
        ("my master process", None),
    ],
)
def test_servers_that_say_what_they_are(title: str, role: str | None) -> None:
    assert by_title(process((title,))) == role


def test_workers_have_their_socket_from_their_nearest_ancestor_that_holds_it() -> None:
    main, helper = process("app", 10), process("sh -c x", 20, parent_pid=10)
    shared = listener(pids=(10, 30, 40))
    ancestors = {10: (SHELL, INIT), 30: (main, SHELL, INIT), 40: (helper, main, SHELL, INIT)}
    assert leaders([shared], ancestors) == {30: main, 40: main}


def test_two_servers_that_share_a_port_are_no_main_and_worker() -> None:
    one, other = listener(pids=(10,)), listener(pids=(30,))
    assert leaders([one, other], {10: (SHELL,), 30: (process("app", 10), SHELL)}) == {}


def test_a_service_manager_is_nobodys_main_process() -> None:
    shared = listener(pids=(1, 812))
    assert leaders([shared], {1: (), 812: (INIT,)}) == {}
    assert activators([shared, listener(pids=(900,))], {1: INIT}) == {812: INIT}


def test_roles() -> None:
    assert who_is(facts(process("app"), leads=True)).role == "main"
    assert who_is(facts(process("app"), process("app", 10), leader=process("app", 10))).role == "worker"
    assert who_is(facts(process("app"))).role is None
    assert who_is(facts(INIT)).role == "service manager"
    assert who_is(facts(USER_MANAGER, INIT)).role == "service manager"


# Supervisors

SUPERVISORS = {
    "python3 /usr/bin/supervisord -n": "supervisord",
    "runsv web": "runit",
    "s6-supervise web": "s6",
    "supervise web": "daemontools",
    "supervise-daemon web --start /usr/bin/web": "OpenRC",
    "python3 /usr/local/bin/circusd c.ini": "circus",
    "node /usr/lib/node_modules/pm2/lib/Daemon.js": "pm2",
    "node /usr/local/bin/pm2-runtime start app.js": "pm2",
    "node /shop/node_modules/.bin/nodemon server.js": "nodemon",
    "node /usr/lib/node_modules/forever/bin/monitor server.js": "forever",
    "/usr/lib/autossh/autossh -M 0 -L 1:a:1 h": "autossh",
    "watchexec -r ./serve": "watchexec",
    "node --watch server.js": "node --watch",
}


@pytest.mark.parametrize(("command", "expected"), SUPERVISORS.items())
def test_known_supervisors(command: str, expected: str) -> None:
    found = supervision(facts(process("app"), process(command, 77), INIT))
    assert (found.supervisor, found.supervisor_pid, found.started_by) == (expected, 77, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("while true; do ./serve; sleep 1; done", "a shell loop"), ("for i in 1 2\ndo ./serve\ndone", "a shell loop"),
     ("while true; do (cd /shop && bin/serve --fast); done", "a shell loop"),
     ('while :; do "$@"; done', "a shell loop"),
     ("cd /shop && exec ./serve", None), ("echo wait a while; ./serve", None),
     ("for i in 1 2; do touch $i; done; ./serve", None), ("./serve & until nc -z h 1; do sleep 1; done", None)],
)  # fmt: skip
def test_a_shell_that_loops_brings_it_back(text: str, expected: str | None) -> None:
    assert supervision(facts(process("serve"), process(("sh", "-c", text), 77), INIT)).supervisor == expected


def test_a_loop_that_starts_another_program_does_not_bring_it_back() -> None:
    """As in what CI runs: the program that the loop starts has ended by then, or starts this one once."""
    shell = process(("sh", "-c", "while true; do ./serve; done"), 77)
    found = supervision(facts(process("serve"), process("python3 tests.py", 88), shell, INIT))
    assert (found.supervisor, found.started_by, found.supervisor_pid) == (None, "tests.py", 88)
    through = supervision(facts(process("serve"), process("npm run dev", 88), shell, INIT))
    assert through.supervisor == "a shell loop"


def test_the_name_under_which_the_supervisor_knows_it() -> None:
    daemon = process(("PM2 v5.4.2: God Daemon (/home/ann/.pm2)",), 77)
    pm2 = {"PM2_HOME": "/home/ann/.pm2", "name": "shop"}
    assert supervision(facts(process("node s.js"), daemon, environment=pm2)).supervised == "shop"
    supervisord = process("python3 /usr/bin/supervisord", 77)
    grouped = {"SUPERVISOR_GROUP_NAME": "shop", "SUPERVISOR_PROCESS_NAME": "web_00"}
    single = {"SUPERVISOR_GROUP_NAME": "web", "SUPERVISOR_PROCESS_NAME": "web"}
    assert supervision(facts(process("x"), supervisord, environment=grouped)).supervised == "shop:web_00"
    assert supervision(facts(process("x"), supervisord, environment=single)).supervised == "web"
    assert supervision(facts(process("x"), supervisord)).supervised is None
    assert supervision(facts(process("x"), process("runsv web", 77))).supervised == "web"
    there = process("runsv web", 77, cwd="/etc/service/web")
    assert supervision(facts(process("x"), there)).supervised == "/etc/service/web"


def test_where_supervisord_takes_commands() -> None:
    url = {"SUPERVISOR_SERVER_URL": "unix:///run/shop.sock"}
    supervisord = process("python3 /usr/bin/supervisord", 77)
    assert supervision(facts(process("x"), supervisord, environment=url)).supervisor_url == "unix:///run/shop.sock"
    assert supervision(facts(process("x"), process("runsv web", 77), environment=url)).supervisor_url is None


def test_pm2_in_cluster_mode_listens_itself() -> None:
    daemon = process(("PM2 v5.4.2: God Daemon (/home/ann/.pm2)",), 77)
    assert supervision(facts(daemon, INIT)) == Supervision("pm2", 77)


def test_a_supervisor_is_found_behind_shells_launchers_and_a_main_process() -> None:
    main, wrapper = process("gunicorn a:b", 80), process("bash /srv/run.sh", 78)
    chain = (main, wrapper, process("python3 /usr/bin/supervisord", 77), INIT)
    assert supervision(facts(process("gunicorn a:b"), *chain, leader=main)).supervisor == "supervisord"


def test_a_supervisor_of_the_session_is_none_of_its_programs() -> None:
    assert supervision(facts(process("app"), SHELL, TMUX, process("runsv tmux", 77), INIT)) == Supervision()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 keeper.py --fast", "keeper.py"),
        ("/opt/keeper", "keeper"),
        ("bash /srv/run.sh", "run.sh"),
        ("python3 -m pytest", "python3 -m pytest"),
        ("java -jar /opt/launcher.jar", "launcher.jar"),
    ],
)
def test_a_parent_that_is_a_program_of_its_own_is_named(command: str, expected: str) -> None:
    keeper = process(command, 77)
    assert supervision(facts(process("app"), keeper, SHELL, INIT)) == Supervision(
        supervisor_pid=77, started_by=expected
    )


@pytest.mark.parametrize(
    "command",
    ["npm run dev", "sh -c vite", "sudo ./app", "node /usr/bin/yarn dev", "make serve", "-bash", "zsh",
     "/usr/sbin/sshd -D", "/usr/bin/containerd-shim-runc-v2 -namespace moby", "/usr/lib/systemd/systemd --user",
     "/usr/share/code/code"],
)  # fmt: skip
def test_launchers_and_hosts_are_not_named(command: str) -> None:
    assert supervision(facts(process("app"), process(command, 77), SHELL, INIT)) == Supervision()


def test_who_adopted_an_orphan_has_not_started_it() -> None:
    adopter = process("adopter", 77)
    assert supervision(facts(process("app"), adopter, INIT, session=600, parent_session=77)) == Supervision()
    assert supervision(facts(process("app"), process("some-init", 1))) == Supervision()


# Sessions


def test_sessions_with_a_terminal() -> None:
    ssh = {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}
    assert session(facts(process("app"), SHELL, terminal="pts/3")) == "terminal pts/3"
    assert session(facts(process("app"), SHELL, terminal="pts/0", environment=ssh)) == "ssh (pts/0)"
    assert session(facts(process("app"), process(("sshd: ann@pts/0",), 7), terminal="pts/0")) == "ssh (pts/0)"
    tmux = {**ssh, "TMUX": "/tmp/tmux-0/default,600,0", "TMUX_PANE": "%3"}
    assert session(facts(process("app"), SHELL, TMUX, terminal="pts/4", environment=tmux)) == "tmux pane %3"
    screen = {"STY": "12.pts-0.host"}
    assert session(facts(process("app"), terminal="pts/4", environment=screen)) == "screen 12.pts-0.host"
    vscode = {**ssh, "TERM_PROGRAM": "vscode"}
    assert session(facts(process("app"), SHELL, terminal="pts/5", environment=vscode)) == "VS Code (pts/5)"
    idea = {"TERMINAL_EMULATOR": "JetBrains-JediTerm"}
    assert session(facts(process("app"), SHELL, terminal="pts/5", environment=idea)) == "a JetBrains IDE (pts/5)"


@pytest.mark.parametrize(
    ("ancestor", "expected"),
    [("/usr/share/code/code --type=zygote", "VS Code"), ("/opt/idea/bin/idea64", "IntelliJ IDEA"),
     ("/home/ann/.vscode-server/bin/0af/node out/server-main.js", "VS Code"),
     ("/opt/jbr/bin/java -Dx=/home/ann/.local/share/JetBrains/Toolbox com.intellij.idea.Main", "a JetBrains IDE"),
     ("/usr/bin/zed-editor", "Zed")],
)  # fmt: skip
def test_an_ide_by_ancestry(ancestor: str, expected: str) -> None:
    assert session(facts(process("node s.js"), process(ancestor, 77), INIT)) == expected


@pytest.mark.parametrize("command", ["/home/ann/bin/code", "./studio", "code-runner", "/usr/bin/rider"])
def test_a_program_that_is_called_like_an_ide_is_none(command: str) -> None:
    assert session(facts(process("node s.js"), process(command, 77), INIT)) is None


def test_what_has_left_its_session_says_so() -> None:
    environment = {"TMUX": "x,1,0", "TMUX_PANE": "%3"}
    assert session(facts(process("app"), INIT, environment=environment)) == "detached from tmux pane %3"


def test_a_daemon_by_choice_has_no_session() -> None:
    environment = {"SSH_CONNECTION": "x"}
    assert session(facts(process("app"), INIT, environment=environment, session=812)) is None
    assert session(facts(process("app"), INIT)) is None


# Services


def test_a_service_and_its_session_are_the_managers() -> None:
    apache = process("/usr/sbin/apache2 -k start", cgroup="/system.slice/apache2.service")
    found = who_is(facts(apache, INIT, session=812, parent_session=1, leads=True))
    assert (found.service, found.service_manager, found.role) == ("apache2.service", "systemd", "main")
    assert (found.session, found.condition) == (None, ())


@pytest.mark.parametrize(
    "unit", ["cron.service", "ssh.service", "app-code@4f1.service", "gnome-terminal-server.service"]
)
def test_what_a_unit_merely_started_is_not_that_unit(unit: str) -> None:
    started = process("node server.js", cgroup=f"/system.slice/{unit}")
    own = process(f"/usr/sbin/{unit}", cgroup=f"/system.slice/{unit}")
    assert who_is(facts(started, SHELL, INIT)).service is None
    assert who_is(facts(own, INIT, session=812, parent_session=1)).service == unit


def test_who_has_a_terminal_is_no_service() -> None:
    started = process("node server.js", cgroup="/system.slice/konsole.service")
    assert who_is(facts(started, SHELL, INIT, terminal="pts/1")).service is None


def test_a_transient_unit_with_a_terminal_is_a_service() -> None:
    started = process("node server.js", cgroup="/system.slice/run-u12.service")  # systemd-run --pty
    assert who_is(facts(started, INIT, session=812, parent_session=1, terminal="pts/1")).service == "run-u12.service"


def test_what_a_service_was_started_with_tells_no_socket_unit() -> None:
    service = process("/usr/bin/web", cgroup="/system.slice/web.service")
    environment = {"LISTEN_FDNAMES": "ssh.socket"}
    found = who_is(facts(service, INIT, environment=environment, activator=INIT))
    assert (found.service, found.activation) == ("web.service", None)


@pytest.mark.parametrize("unit", ["supervisor.service", "runit.service", "monit.service"])
def test_what_a_supervisor_in_a_unit_has_started_is_not_that_unit(unit: str) -> None:
    started = process("node server.js", cgroup=f"/system.slice/{unit}")
    assert who_is(facts(started, process("python3 /usr/bin/supervisord", 77), INIT)).service is None


# Whose word the names of cgroups are

HOME = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "authorship", "expected"),
    [
        ("/system.slice/web.service", Authorship("/system.slice/web.service"), ("web.service", None, None, None)),
        # a unit with User= and Delegate=: its own name was given by root
        ("/system.slice/web.service", Authorship("/system.slice/web.service", 1000), ("web.service", None, None, None)),
        ("/system.slice/web.service/postgresql.service", Authorship("/system.slice/web.service", 1000),
         ("web.service", None, "postgresql.service", False)),
        (f"/ann.slice/docker-{ID}.scope", Authorship("/ann.slice", 1000),
         (None, None, f"docker container {ID[:12]}", False)),
        # below a user's manager it is the word of that user alone
        (f"{HOME}/app.slice/web.service", Authorship(HOME, 1000), ("web.service", None, None, None)),
        (f"{HOME}/app.slice/web.service", Authorship(HOME, 1001), (None, None, "web.service", False)),
        (f"{HOME}/docker-{ID}.scope", Authorship(HOME, 1000), (None, Container("docker", ID), None, None)),
        # nobody can tell: a manager is asked in any case
        ("/system.slice/web.service", Authorship(""), ("web.service", None, None, None)),
    ],
)  # fmt: skip
def test_names_count_as_far_as_root_has_given_them(
    path: str, authorship: Authorship, expected: tuple[str | None, Container | None, str | None, bool | None]
) -> None:
    found = who_is(facts(process("app", cgroup=path), INIT)._replace(authorship=authorship))
    assert (found.service, found.container, found.claim, found.confirmed) == expected
    socket = listener()._replace(cgroup=path, pids=None)
    hidden = who_is_hidden(socket, None, authorship)
    assert (hidden.service, hidden.container, hidden.claim, hidden.confirmed) == expected


def test_a_service_manager_is_not_its_own_unit() -> None:
    assert who_is(facts(USER_MANAGER, INIT, session=812, parent_session=1)).service is None


# Containers and their proxies

DOCKER_PROXY = "/usr/sbin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8088 -container-ip 172.17.0.2"
CONMON = f"/usr/bin/conmon --api-version 1 -c {ID} -u {ID} -r /usr/bin/crun -b /var/lib/x -n web --exit-dir /run/exits"


def test_a_process_in_a_container() -> None:
    found = who_is(facts(process("nginx", cgroup=f"/docker/{ID}"), SHELL, terminal="pts/0"))
    assert (found.container, found.role, found.session) == (Container("docker", ID), None, None)


def test_a_proxy_is_its_containers_not_its_engines() -> None:
    found = who_is(facts(process(DOCKER_PROXY, cgroup="/system.slice/docker.service"), process("dockerd", 77)))
    assert (found.role, found.container, found.service) == ("proxy", Container("docker"), None)
    found = who_is(facts(process(CONMON, cgroup=f"/machine.slice/libpod-conmon-{ID}.scope")))
    assert (found.role, found.container) == ("proxy", Container("podman", ID, "web"))


def test_a_proxy_in_a_unit_of_its_own_stays_in_it() -> None:
    found = who_is(facts(process("rootlessport", cgroup="/system.slice/web.service/runtime")))
    assert (found.role, found.service, found.service_manager) == ("proxy", "web.service", "systemd")


@pytest.mark.parametrize(
    "program", ["dockerd -H fd://", "rootlesskit --net=slirp4netns", "/usr/bin/pasta", "slirp4netns"]
)
def test_what_may_be_a_proxy_is_none_until_its_engine_says_so(program: str) -> None:
    maybe = proxy(process(program))
    assert maybe is not None and not maybe.certain
    assert who_is(facts(process(program))).container is None


def test_the_engine_itself_is_its_service() -> None:
    dockerd = process("/usr/bin/dockerd -H fd://", cgroup="/system.slice/docker.service")
    assert who_is(facts(dockerd, INIT, session=812, parent_session=1)).service == "docker.service"


# Conditions


def test_conditions() -> None:
    assert condition(facts(process("app", state="T"))) == ("stopped",)
    assert condition(facts(process("app", state="S"), process("x", 7, state="Z"))) == ("zombie-parent",)
    assert condition(facts(process("app", executable="/opt/app (deleted)"))) == ("deleted-executable",)
    assert condition(facts(process("app", executable="/memfd:app (deleted)"))) == ()


@pytest.mark.parametrize(
    ("own", "parents", "expected"),
    [(700, 1, True), (700, 500, True), (700, 700, False), (812, 1, False), (1, 1, False), (None, 1, False),
     (700, None, False)],
)  # fmt: skip
def test_an_orphan_is_in_the_session_of_neither_itself_nor_its_parent(
    own: int | None, parents: int | None, expected: bool
) -> None:
    orphan = facts(process("app"), INIT, session=own, parent_session=parents)
    assert condition(orphan) == (("orphaned",) if expected else ())
    assert condition(orphan, managed=True) == ()


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("/usr/sbin/inetd", "/etc/inetd.conf"),
        ("/usr/sbin/inetd -i -q 64 /srv/inetd.conf", "/srv/inetd.conf"),
        ("busybox inetd -f /srv/inetd.conf", "/srv/inetd.conf"),
        ("/usr/sbin/xinetd -pidfile /run/x.pid -stayalive", "/etc/xinetd.conf"),
        ("xinetd -f /srv/x.conf -dontfork", "/srv/x.conf"),
        ("xinetd -f", "/etc/xinetd.conf"),
    ],
)
def test_a_super_server_and_its_file(command: str, file: str) -> None:
    assert role(facts(process(command), leads=True)) == "super-server"
    assert services_file(process(command)) == file


def test_what_a_super_server_starts_is_none() -> None:
    """A service that is told to wait has the socket from it."""
    inetd = process("inetd", 7)
    assert role(facts(process("in.tftpd"), inetd, leader=inetd)) == "worker"
    assert services_file(process("busybox httpd")) is None


def test_postfix_smtpd_has_its_socket_from_master() -> None:
    """Recorded from postfix 3.7 with a client."""
    master = process("/usr/lib/postfix/sbin/master -w", 10, cwd="/var/spool/postfix", uid=0)
    smtpd = process("smtpd -n smtp -t inet -u -c -s 2", 30, parent_pid=10, uid=101)
    assert leaders([listener(pids=(10, 30))], {10: (INIT,), 30: (master, INIT)}) == {30: master}
    found = who_is(facts(smtpd, master, INIT, leader=master))
    assert (found.role, found.supervisor) == ("worker", None)
    assert condition(facts(master, INIT, session=10, parent_session=1)) == ()


def test_rabbitmq_is_told_by_the_script_that_started_it() -> None:
    """Recorded from RabbitMQ 3.10: the program itself is Erlang's."""
    server = process("/bin/sh /usr/lib/rabbitmq/bin/rabbitmq-server", 124)
    beam = process("/usr/lib/erlang/erts-13.1.5/bin/beam.smp -W w -MBas ageffcbf", 131, name="beam.smp")
    assert supervision(facts(beam, server, INIT)).started_by == "rabbitmq-server"


def test_what_a_trigger_of_watchman_runs_is_not_started_again() -> None:
    """Recorded from watchman 4.9: it runs it again when a file changes, not when it ends."""
    found = supervision(facts(process("python3 /srv/web.py a.txt"), process("watchman watch .", 70), INIT))
    assert (found.supervisor, found.supervisor_pid, found.started_by) == (None, 70, "watchman")


def test_a_daemon_in_its_own_folder_is_nobodys_child_by_choice() -> None:
    """`avahi-daemon -D` forks twice, and is not the leader of its session."""
    avahi = facts(process("avahi-daemon: running [lab.local]", cwd="/etc/avahi"), INIT, session=700, parent_session=1)
    assert (role(avahi), condition(avahi)) == (None, ())
    assert condition(avahi._replace(process=process("app", cwd="/var/www/shop"))) == ("orphaned",)


def test_a_daemon_is_nobodys_child_by_choice() -> None:
    """dnsmasq and `epmd -daemon` as daemon(3) has them, and a server that was left behind by its shell."""
    dnsmasq = facts(process("dnsmasq -k", cwd="/"), INIT, session=700, parent_session=1)
    assert condition(dnsmasq) == ()
    assert condition(dnsmasq._replace(process=process("vite", cwd="/srv/shop"))) == ("orphaned",)
    assert supervision(dnsmasq) == Supervision()


# Everything else that is filled in


def test_the_project_and_the_task_that_started_it() -> None:
    manifest = ProjectFile("/home/ann/shop", "package.json", b'{"name": "@ann/shop"}')
    environment = {"npm_lifecycle_event": "dev", "npm_config_user_agent": "pnpm/9.1.0 npm/? node/v20"}
    found = who_is(facts(process("node server.js"), SHELL, project=[manifest], environment=environment))
    assert (found.project, found.project_dir, found.script, found.task) == (
        "@ann/shop", "/home/ann/shop", "server.js", "pnpm run dev",
    )  # fmt: skip


def test_nothing_is_made_up() -> None:
    plain = Process(812, "app")
    assert who_is(facts(plain, session=None, parent_session=None, ports=())) == plain


# Whose process cannot be seen


def hidden(cgroup: str | None, port: int = 80, uid: int = 0) -> Process:
    return who_is_hidden(Socket("tcp", "ipv4", "0.0.0.0", port, state="LISTEN", uid=uid, user="u", cgroup=cgroup))


def test_hidden_holders_by_the_cgroup_of_their_socket() -> None:
    assert hidden("/system.slice/apache2.service").service == "apache2.service"
    assert hidden(f"/system.slice/docker-{ID}.scope").container == Container("docker", ID)
    assert hidden("/user.slice/user-1000.slice/session-3.scope").session == "login session 3"
    unit = hidden("/system.slice/web.socket")
    assert (unit.activation, unit.service, unit.service_manager) == ("web.socket", None, "systemd")
    manager = hidden("/user.slice/user-1000.slice/user@1000.service/init.scope", uid=1000)
    assert (manager.role, manager.service) == ("service manager", None)
    assert hidden(None) == Process(0, uid=0, user="u")


def test_a_hidden_engine_listens_for_its_containers() -> None:
    proxied, api = hidden("/system.slice/docker.service", 8088), hidden("/system.slice/docker.service", 2375)
    assert (proxied.role, proxied.container, proxied.service) == ("proxy", Container("docker"), None)
    assert (api.role, api.container, api.service) == (None, None, "docker.service")


def test_a_hidden_users_process_in_a_units_cgroup_is_not_that_unit() -> None:
    assert hidden("/system.slice/cron.service", uid=1000).service is None
    assert hidden("/system.slice/ssh.service").service == "ssh.service"


def test_a_hidden_holder_in_our_own_container_is_in_none_that_matters() -> None:
    socket = Socket("tcp", "ipv4", "0.0.0.0", 80, cgroup=f"/docker/{ID}")
    assert who_is_hidden(socket, Container("docker", ID)).container is None
    assert who_is_hidden(socket, Container("docker", OTHER_ID)).container == Container("docker", ID)


def test_what_a_program_is_besides_what_it_does_here() -> None:
    """kind_of asks for both, and does not work them out again."""
    assert who_is(facts(process("dockerd"))).publisher == "docker"
    assert who_is(facts(process(CONMON))).publisher == "podman"
    assert who_is(facts(process("PM2 v5.4.2: God Daemon (/home/ann/.pm2)"))).supervises == "pm2"
    assert who_is(facts(process("/usr/bin/python3 /usr/bin/supervisord"))).supervises == "supervisord"
    plain = who_is(facts(process("node server.js")))
    assert (plain.publisher, plain.supervises) == (None, None)
