"""What is advised: for each kind of holder and each cause, with the exact command and sudo only where it helps."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from support.examples import ANY4
from support.generated import vocabulary
from support.scenes import diagnosis, endpoint, listener, scene

from portcheck.identify.launchd import LAUNCHD, MACOS
from portcheck.identify.windows import SEVERAL, WINDOWS
from portcheck.model import (
    Advice,
    Container,
    Hands,
    Owner,
    PortPolicy,
    PortProxyRule,
    PortRange,
    Process,
    Row,
    Scene,
    Socket,
)
from portcheck.remedies.advise import advise
from portcheck.remedies.catalogue import BY_CAUSE, BY_CAUSE_WHILE_FREE
from portcheck.remedies.kinds import KINDS, RELOAD, kind_of

ROOT, BO, ANN = 0, 1000, 1001
WEB = "4c01db0b339ceba6a9c2e8e4f8d1d9f2a3b4c5d6e7f80910a1b2c3d4e5f60718"
SYSTEMD = Process(1, "systemd", 0, "root", ("/sbin/init",), role="service manager", cgroup="/init.scope")
USER_SYSTEMD = Process(
    167, "systemd", BO, "bo", ("/lib/systemd/systemd", "--user"), role="service manager",
    cgroup="/user.slice/user-1000.slice/user@1000.service/init.scope",
)  # fmt: skip
DOCKER_PROXY = Process(157, "docker-proxy", 0, "root", ("/usr/sbin/docker-proxy",), role="proxy")
INSIDE = f"/docker/{WEB}"


def node(**known: Any) -> Process:
    return Process(812, **{"name": "node", "uid": BO, "user": "bo", "command": ("node", "s.js"), **known})


def inetd(command: str, **known: Any) -> Process:
    argv = tuple(command.split())
    return Process(70, argv[0], ROOT, "root", argv, role="super-server")._replace(**known)


def apache(**known: Any) -> Process:
    command = ("/usr/sbin/apache2", "-k", "start")
    return Process(104, **{"name": "apache2", "uid": 0, "user": "root", "command": command, "role": "main", **known})


def hidden(**known: Any) -> Process:
    return Process(0, **{"uid": 0, "user": "root", **known})


def published(**known: Any) -> Process:
    return DOCKER_PROXY._replace(container=Container("docker", WEB, "web", "nginx:1.27", **known))


class Case(NamedTuple):
    """Somebody who listens on port 8000, and what an asker is told to do: commands as one would type them."""

    kind: str
    process: Process
    says: str
    commands: tuple[str, ...] = ()
    asker: int | None = BO


CASES = (
    Case("service", apache(service="apache2.service", service_manager="systemd"),
         "stop the service, not its process: systemd may start it again", ("sudo systemctl stop apache2.service",)),
    Case("service", apache(service="apache2.service", service_manager="systemd"),
         "stop the service, not its process: systemd may start it again", ("systemctl stop apache2.service",), ROOT),
    Case("service", hidden(service="nginx.service", service_manager="systemd"),
         "stop the service, not its process: systemd may start it again", ("sudo systemctl stop nginx.service",)),
    Case("user-service", node(service="mine.service", service_manager="systemd --user"),
         "stop the service, not its process: bo's systemd may start it again", ("systemctl --user stop mine.service",)),
    Case("user-service", node(service="mine.service", service_manager="systemd --user"),
         "stop the service, not its process: bo's systemd may start it again",
         ("systemctl --user --machine=bo@ stop mine.service",), ROOT),
    Case("user-service", node(service="mine.service", service_manager="systemd --user"),
         "stop the service, not its process: bo's systemd may start it again",
         ("sudo systemctl --user --machine=bo@ stop mine.service",), ANN),
    Case("socket-unit", SYSTEMD._replace(service="echo.service", activation="echo.socket", service_manager="systemd"),
         "systemd itself listens for echo.service: stop the socket unit too, or it starts again",
         ("sudo systemctl stop echo.socket echo.service", "sudo systemctl disable --now echo.socket")),
    Case("socket-unit", SYSTEMD._replace(activation="each.socket", service_manager="systemd"),
         "systemd itself listens for each.socket: stop the socket unit too, or it starts again",
         ("systemctl stop each.socket", "systemctl disable --now each.socket"), ROOT),
    Case("user-socket-unit",
         USER_SYSTEMD._replace(service="my.service", activation="my.socket", service_manager="systemd --user"),
         "bo's systemd listens for my.service: stop the socket unit too, or it starts again",
         ("systemctl --user stop my.socket my.service",)),
    Case("service", apache(service="web.service", service_manager="systemd", triggered_by=("web.path", "web.timer"),
                           required_by=("worker.service",)),
         "stop the service, not its process: systemd may start it again (web.path and web.timer would); worker.service"
         " will be stopped with it", ("sudo systemctl stop web.path web.timer web.service",)),
    Case("socket-unit", SYSTEMD._replace(service="echo.service", activation="echo.socket", service_manager="systemd",
                                         triggered_by=("echo.timer",), required_by=("more.service",)),
         "systemd itself listens for echo.service: stop the socket unit too, or it starts again; more.service will be"
         " stopped with it",
         ("systemctl stop echo.timer echo.socket echo.service", "systemctl disable --now echo.socket"), ROOT),
    # on a port of which nothing is known but that it is the resolver's
    Case("resolver", Process(90, "systemd-resolve", 101, "systemd-resolve", service="systemd-resolved.service",
                             service_manager="systemd"),
         "or stop it as a whole: names may not be resolved here until it runs again",
         ("sudo systemctl stop systemd-resolved.service",)),
    Case("leftover", node(left_by="web.service"),
         "web.service has ended and left it running: to stop that does nothing, end it from here",
         ("portcheck stop 8000",)),
    Case("compose", published(compose_project="shop", compose_service="web"),
         "stop service web of the compose project shop",
         ("docker compose -p shop stop web", "docker stop web")),
    Case("container", published(), "stop the container web", ("docker stop web",)),
    Case("container", published(restart_policy="always"),
         "stop the container web (killed, it would come back: restart policy always)",
         ("docker stop web",)),
    Case("container", DOCKER_PROXY._replace(container=Container("docker", WEB, "stop")),
         "stop the container stop", ("docker stop stop",)),
    # an ordinary user who may not talk to the engine has no name of it
    Case("container", hidden(container=Container("docker", WEB), cgroup=INSIDE),
         f"stop the container {WEB}", (f"sudo docker stop {WEB}",)),
    Case("container", hidden(container=Container("docker", WEB), cgroup=INSIDE),
         f"stop the container {WEB}", (f"docker stop {WEB}",), ROOT),
    Case("container", node(container=Container("podman", WEB), cgroup=f"/machine.slice/libpod-{WEB}.scope"),
         f"stop the container {WEB}", (f"sudo podman stop {WEB}",)),
    Case("container", node(container=Container("podman", WEB, "web"),
                           cgroup=f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{WEB}.scope"),
         "stop the container web", ("podman stop web",)),
    Case("foreign-container", node(container=Container("podman", WEB),
                                   cgroup=f"/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-{WEB}.scope"),
         f"it is podman container {WEB[:12]} of another user's podman: only that user can stop it"),
    Case("container", node(container=Container("podman", WEB, "web"), keeper=Hands(ANN, "ann"),
                           cgroup=f"/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-{WEB}.scope"),
         "stop the container web", ("sudo -u ann podman stop web",), ROOT),
    Case("containerd", hidden(container=Container("containerd", WEB)),
         f"stop the container {WEB}", (f"sudo nerdctl stop {WEB}",)),
    Case("containerd", node(container=Container("containerd", "box1", namespace="lab", address="/srv/c.sock")),
         "stop the container box1", ("nerdctl --address=/srv/c.sock --namespace=lab stop box1",), ROOT),
    Case("containerd-task", node(container=Container("containerd", "box1", namespace="default"), absent=("nerdctl",)),
         "end the container box1",
         ("sudo ctr --namespace=default tasks kill --signal=SIGTERM box1",
          "sudo ctr --namespace=default tasks kill --signal=SIGKILL box1")),
    Case("lxc", node(container=Container("lxc", name="c1"), confirmed=True),
         "stop the container c1", ("lxc-stop -n c1",), ROOT),
    Case("lxc", node(container=Container("lxc", name="c1"), confirmed=True, keeper=Hands(ANN, "ann")),
         "stop the container c1", ("sudo -u ann lxc-stop -n c1",), ROOT),
    Case("other-container", node(container=Container("lxc", name="c1"), confirmed=True, absent=("lxc-stop",)),
         "it runs in lxc container c1: stop that with what manages it"),
    Case("swarm", published(swarm_service="web", restart_policy="always"),
         "swarm starts it again when it ends: scale its service web down", ("docker service scale web=0",)),
    Case("swarm", node(role="proxy", uid=ROOT, container=Container("docker", swarm_service="web")),
         "swarm starts it again when it ends: scale its service web down", ("docker service scale web=0",), ROOT),
    Case("container", published(compose_project="shop", compose_service="web")._replace(absent=("docker compose",)),
         "stop the container web", ("docker stop web",)),
    Case("nspawn", hidden(container=Container("systemd-nspawn", name="deb12")),
         "stop the container deb12", ("sudo machinectl poweroff deb12", "sudo machinectl terminate deb12")),
    Case("pod", node(container=Container("containerd", WEB, pod="0f1e2d3c-aaaa-bbbb-cccc-1234567890ab")),
         "it runs in the Kubernetes pod 0f1e2d3c-aaaa-bbbb-cccc-1234567890ab: scale its workload down, or it is started"
         " again"),
    Case("other-container", node(container=Container("lxc", name="c1")),
         "it runs in lxc container c1: stop that with what manages it"),
    Case("other-container", node(container=Container("unknown", WEB)),
         f"it runs in container {WEB[:12]}: stop that with what manages it"),
    Case("unnamed-container", hidden(container=Container("docker"), role="proxy"),
         "docker publishes it for a container: find out for which, and stop that",
         ("sudo docker ps",)),
    Case("engine", Process(20, "dockerd", 0, "root", ("dockerd",), service="docker.service", service_manager="systemd",
                           publisher="docker"),
         "dockerd has it for containers, or for itself: stop what uses the port there, not dockerd", (), ROOT),
    Case("manager", SYSTEMD, "systemd holds it for a service: find out for which", ("systemctl list-sockets",)),
    Case("user-manager", USER_SYSTEMD, "bo's systemd holds it for a service: find out for which",
         ("systemctl --user list-sockets",)),
    Case("supervisord", node(supervisor="supervisord", supervisor_pid=70, supervised="shop:web_00"),
         "supervisord starts it again when it ends: stop it there", ("supervisorctl stop shop:web_00",)),
    Case("supervisord", node(supervisor="supervisord", supervisor_pid=70, supervised="web",
                             supervisor_url="unix:///run/shop.sock", service="supervisor.service"),
         "supervisord starts it again when it ends: stop it there",
         ("sudo -u bo supervisorctl --serverurl=unix:///run/shop.sock stop web",), ANN),
    # whose manager it is counts, not whose program
    Case("supervisord", node(supervisor="supervisord", supervisor_pid=70, supervised="web", keeper=Hands(ROOT, "root"),
                             supervisor_config="/etc/supervisor/supervisord.conf"),
         "supervisord starts it again when it ends: stop it there",
         ("sudo supervisorctl --configuration=/etc/supervisor/supervisord.conf stop web",)),
    Case("runit", node(supervisor="runit", supervisor_pid=70, supervised="/etc/service/web", keeper=Hands(ROOT)),
         "runit starts it again when it ends: take it down", ("sudo sv down /etc/service/web",)),
    Case("pm2", node(supervisor="pm2", supervisor_pid=70, supervised="shop",
                     keeper=Hands(ANN, "ann", (("PM2_HOME", "/srv/pm2"),))),
         "pm2 starts it again when it ends: stop it there",
         ("sudo -u ann env PM2_HOME=/srv/pm2 pm2 stop shop",), ROOT),
    Case("pm2", node(supervisor="pm2", supervisor_pid=70, supervised="shop",
                     keeper=Hands(BO, "bo", (("PM2_HOME", "/srv/pm2"),), folder="/opt/node/bin")),
         "pm2 starts it again when it ends: stop it there", ("env PM2_HOME=/srv/pm2 /opt/node/bin/pm2 stop shop",)),
    Case("runit", node(supervisor="runit", supervisor_pid=70, supervised="/srv/web", keeper=Hands(4001)),
         "runit starts it again when it ends: take it down", ("sudo -u #4001 sv down /srv/web",), ROOT),
    Case("daemontools", node(supervisor="daemontools", supervisor_pid=7, supervised="/service/web", keeper=Hands(ROOT)),
         "daemontools starts it again when it ends: take it down", ("sudo svc -d /service/web",)),
    Case("unanswered", node(claim="supervisord's web", confirmed=False, unanswered="supervisorctl did not answer"),
         "supervisorctl did not answer: whether it is supervisord's web is not known", (), ROOT),
    Case("unanswered-to-user", published()._replace(unanswered="docker gave no answer (denied)"),
         "docker gave no answer (denied): ask as root whether it is docker container web",
         ("sudo portcheck stop 8000",)),
    Case("pm2", node(supervisor="pm2", supervisor_pid=70, supervised="shop"),
         "pm2 starts it again when it ends: stop it there", ("pm2 stop shop",)),
    Case("pm2", node(supervisor="pm2", supervisor_pid=70, supervised="shop"),
         "pm2 starts it again when it ends: stop it there", ("sudo -u bo pm2 stop shop",), ROOT),
    Case("runit", node(supervisor="runit", supervisor_pid=70, supervised="/etc/service/web"),
         "runit starts it again when it ends: take it down", ("sv down /etc/service/web",)),
    Case("s6", node(supervisor="s6", supervisor_pid=70, supervised="/run/service/web"),
         "s6 starts it again when it ends: take it down", ("s6-svc -d /run/service/web",)),
    Case("circus", node(supervisor="circus", supervisor_pid=70, supervised="web", supervisor_url="tcp://127.0.0.1:5555",
                        keeper=Hands(BO, "bo", folder="/srv/bin")),
         "circus starts it again when it ends: stop it there",
         ("/srv/bin/circusctl --endpoint=tcp://127.0.0.1:5555 stop web",)),
    Case("circus-socket", Process(70, "circusd", BO, "bo", supervises="circus", supervisor_url="tcp://127.0.0.1:5555"),
         "circusd holds it for itself, or as a socket of its programs, which stays when these stop: stop them, take it "
         "out of its configuration, and have that read again",
         ("circusctl --endpoint=tcp://127.0.0.1:5555 reloadconfig",)),
    Case("dinit", node(supervisor="dinit", supervisor_pid=70, supervised="web", keeper=Hands(BO)),
         "dinit starts it again when it ends: stop it there", ("dinitctl stop web",)),
    Case("OpenRC", node(supervisor="OpenRC", supervisor_pid=70, supervised="web", keeper=Hands(ROOT), confirmed=True),
         "OpenRC starts it again when it ends: stop it there", ("sudo rc-service web stop",)),
    Case("managed", node(supervisor="OpenRC", supervisor_pid=70, supervised="web", confirmed=False),
         "OpenRC starts it again when it ends: stop it there"),
    Case("monit", node(supervisor="monit", supervisor_pid=70, supervised="web", keeper=Hands(ROOT)),
         "monit starts it again when it ends: stop it there", ("sudo monit stop web",)),
    Case("monit", node(supervisor="monit", supervisor_pid=70, supervised="web", supervisor_config="/etc/m.conf",
                       keeper=Hands(ROOT), service="web.service"),
         "monit starts it again when it ends: stop it there", ("monit -c/etc/m.conf stop web",), ROOT),
    Case("super-server", inetd("inetd -i /srv/inetd.conf"), "end inetd from here, and all that it listens for",
         ("portcheck stop 8000", "kill -HUP 70"), ROOT),
    Case("super-server-unit", inetd("xinetd", service="xinetd.service", service_manager="systemd"),
         "stop the service, and all that it listens for", ("sudo systemctl stop xinetd.service", "sudo kill -HUP 70")),
    Case("with-others", node(started_by="honcho", supervisor_pid=70),
         "end it from here; honcho (PID 70) then ends what else it runs", ("portcheck stop 8000",)),
    Case("managed", node(supervisor="circus", supervisor_pid=70),
         "circus starts it again when it ends: stop it there"),
    Case("managed", node(supervisor="supervisord", supervisor_pid=70),
         "supervisord starts it again when it ends: stop it there"),
    Case("watched", node(supervisor="nodemon", supervisor_pid=70),
         "nodemon (PID 70) starts it again when it ends: end both", ("portcheck stop 8000",)),
    Case("supervising", Process(70, "node", BO, "bo", ("PM2 v5.4.2: God Daemon (/home/bo/.pm2)",), supervisor="pm2",
                                supervisor_pid=70, supervises="pm2"),
         "node runs other programs as well: stop the one that has the port there, not node"),
    Case("apache", apache(), "stop Apache as a whole, not one of its processes", ("sudo apachectl stop",)),
    Case("apache", apache(), "stop Apache as a whole, not one of its processes", ("apachectl stop",), ROOT),
    # of another configuration, which a plain apachectl does not know
    Case("plain", apache(command=("apache2", "-f", "/tmp/a.conf", "-k", "start")), "end it from here",
         ("sudo portcheck stop 8000",)),
    Case("nginx", Process(5, "nginx", 0, "root", ("nginx: master process /usr/sbin/nginx",), role="main"),
         "let nginx finish its requests and end", ("nginx -s quit",), ROOT),
    Case("plain", Process(5, "nginx", 0, "root", ("nginx: master process nginx -c /tmp/n.conf",), role="main"),
         "end it from here", ("portcheck stop 8000",), ROOT),
    Case("forwarder", Process(6, "ssh", BO, "bo", ("ssh", "-NL", "8000:db:5432", "bastion"), role="forwarder",
                              forwards="db:5432 through bastion"),
         "it is a tunnel to db:5432 through bastion: close it where it was opened, or from here",
         ("portcheck stop 8000",)),
    Case("ssh-session", Process(6, "sshd", BO, "bo", ("sshd: bo@notty",), role="forwarder", service="ssh.service",
                                forwards="the ssh client of bo@notty"),
         "it is a remote forward (ssh -R) of that session: close it at the client; ended from here, the whole session"
         " ends", ("portcheck stop 8000",)),
    Case("ide", node(role="ide", name="code", forwards="a remote port, or a server of an extension"),
         "code has it for a forwarded port or an extension: close it in the editor (its ports view)"),
    Case("stopped", node(condition=("stopped",)),
         "it was stopped (Ctrl-Z?): fg in its terminal and then Ctrl-C, or end it from here", ("portcheck stop 8000",)),
    Case("orphaned", node(condition=("orphaned",)),
         "what started it is gone, and no terminal ends it: end it from here", ("portcheck stop 8000",)),
    Case("plain", node(), "end it from here", ("portcheck stop 8000",)),
    Case("plain", node(started_by="make", supervisor_pid=70), "end it from here", ("portcheck stop 8000",)),
    Case("plain", node(terminal="pts/3", session="tmux pane %3"),
         "end it with Ctrl-C (tmux pane %3), or from here", ("portcheck stop 8000",)),
    Case("hidden", hidden(), "only root can see its process and stop it", ("sudo portcheck stop 8000",)),
    Case("hidden-by-namespace", hidden(),
         "root cannot see its process from here: inside a container or sandbox, ask on the host", (), ROOT),
    Case("hidden-from-user", Process(0), "only an administrator can see its process and stop it", (), None),
    # recorded: nothing of these can be had here
    Case("launchd-job", Process(88, "httpd", 0, "root", service="org.apache.httpd", service_manager=LAUNCHD,
                                supervised="system/org.apache.httpd"),
         "launchd starts it again when it ends: remove the job", ("sudo launchctl bootout system/org.apache.httpd",)),
    Case("macos-setting", Process(612, "ControlCenter", 501, "bo", service="AirPlay Receiver", service_manager=MACOS),
         "turn AirPlay Receiver off in System Settings, General, AirDrop & Handoff"),
    Case("windows-service", Process(4, "System", role="kernel", service="WinRM", service_manager=WINDOWS),
         "stop the service (as administrator)", ("Stop-Service WinRM",), None),
    Case("iis", Process(4, "System", role="kernel", service="W3SVC", service_manager=WINDOWS),
         "stop the IIS site that has it (as administrator): Get-Website shows which, Stop-Website stops it",
         ("Stop-Service W3SVC",), None),
    Case("wsl", Process(9000, "wslrelay.exe", role="forwarder", forwards="a program inside WSL"),
         "stop the program inside WSL that listens, or everything there", ("wsl --shutdown",), None),
    Case("ended", Process(9001, condition=("ended",)),
         "end the child that inherited its socket, or sign out: nothing else closes it", (), None),
    Case("launchd", Process(1, "launchd", 0, "root", ("/sbin/launchd",), role="service manager"),
         "launchd listens for one of its jobs: find out for which", ("launchctl print system",), 501),
    Case("homebrew", Process(90, "httpd", 501, "bo", service="homebrew.mxcl.httpd", service_manager=LAUNCHD,
                             supervised="gui/501/homebrew.mxcl.httpd"),
         "Homebrew starts it again when it ends: stop it there", ("brew services stop httpd",), 501),
    Case("windows-services", Process(1200, "svchost.exe", service="RpcEptMapper, RpcSs", service_manager=SEVERAL),
         "one of the services RpcEptMapper, RpcSs has it: stop that one", (), None),
    Case("windows-port-proxy",
         Process(1200, "svchost.exe", role="forwarder", service="iphlpsvc", service_manager=WINDOWS,
                 forwards="[::1]:80", port_proxy=PortProxyRule("v4tov6", "*")),
         "Windows forwards it to [::1]:80: delete the rule (as administrator)",
         ("netsh interface portproxy delete v4tov6 listenport=8000 listenaddress=*",), None),
    Case("windows-http", Process(4, "System", role="kernel", forwards="iisexpress.exe (PID 5678)"),
         "http.sys listens for iisexpress.exe (PID 5678): stop that", (), None),
    Case("windows-kernel", Process(4, "System", role="kernel"),
         "Windows itself has it: turn off the feature that uses it, or take another port", (), None),
)  # fmt: skip


def held_by(process: Process, asker: int | None) -> tuple[Owner, tuple[Advice, ...]]:
    """The owner and the advice for a listener on port 8000 that belongs to this process."""
    pids = (process.pid,) if process.pid else None
    socket = listener(port=8000, pids=pids, uid=process.uid, user=process.user)
    seen = scene(socket, processes=(process,), hidden={7: process}, uid=asker)
    found = advise(diagnosis(seen, endpoint(8000)), seen)
    (owner,) = found.owners
    return owner, found.advice


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{number}" for number, case in enumerate(CASES)])
def test_each_kind_of_holder(case: Case) -> None:
    owner, advice = held_by(case.process, case.asker)
    assert kind_of(owner, case.asker).name == case.kind
    assert advice[0].text == case.says
    assert tuple(" ".join(one.command) for one in advice if one.command) == case.commands


@pytest.mark.parametrize(
    ("port", "option"), [(53, "DNSStubListener=no"), (5353, "MulticastDNS=no"), (5355, "LLMNR=no")]
)
def test_the_resolver_lets_go_of_a_port_and_goes_on(port: int, option: str) -> None:
    resolver = Process(
        90, "systemd-resolve", 101, service="systemd-resolved.service", service_manager="systemd", confirmed=True
    )
    seen = scene(listener(port=port, pids=(90,), uid=101), processes=(resolver,), uid=ROOT)
    found = advise(diagnosis(seen, endpoint(port)), seen)
    written, *others = [advice.command for advice in found.advice if advice.command]
    assert written[:2] == ("sh", "-c")
    assert f"printf '[Resolve]\\n{option}\\n'" in written[2]
    assert others[-1] == ("systemctl", "stop", "systemd-resolved.service")
    assert (len(others) == 2) == (port == 53)


def test_no_units_name_is_taken_for_an_option() -> None:
    web = apache(service="web.service", service_manager="systemd", triggered_by=("-H.path",))
    assert held_by(web, ROOT)[1] == ()


def test_every_kind_is_shown_above_and_has_its_remedy() -> None:
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names))
    assert {case.kind for case in CASES} == set(names)
    assert all(kind.remedies for kind in KINDS)


def test_whoever_holds_a_port_is_of_some_kind() -> None:
    """The last record takes everybody, so that kind_of always finds one."""
    assert KINDS[-1].test(Process(5), BO)


ROOT_FINDS_OUT = ("hidden", "unanswered-to-user")  # root's `stop` names it first


def test_what_would_come_back_is_never_ended_by_a_signal() -> None:
    for kind in (kind for kind in KINDS if kind.stopped_by != "signal"):
        for remedy in kind.remedies:
            assert remedy.command[:1] != ("kill",) or remedy.command == RELOAD  # which ends nothing
            assert remedy.command[:2] != ("portcheck", "stop") or kind.name in ROOT_FINDS_OUT


def test_what_stop_does_by_a_command_names_one() -> None:
    managed = [kind for kind in KINDS if kind.stopped_by == "manager"]
    assert all((kind.stop or kind.remedies[0]).command for kind in managed)


# Causes without a holder to turn to


class Situation(NamedTuple):
    """Why port 8000 is not free, and what is advised."""

    verdict: Any
    cause: Any
    seen: Scene
    says: tuple[str, ...]
    commands: tuple[str, ...] = ()
    sockets: tuple[Socket, ...] = ()
    rows: tuple[Row, ...] = ()


LEFT = Socket("tcp", "ipv4", "127.0.0.1", 8000, "127.0.0.1", 40001, "TIME-WAIT", pids=(), expires_in=42.6)
EPHEMERAL = PortPolicy(1024, ephemeral=PortRange(7000, 9000), reserved=(PortRange(5000, 5009), PortRange(6000, 6000)))
REFUSED = Row(ANY4, "in-use", "in-use", "in-use", "EADDRINUSE")
SITUATIONS = (
    Situation("in-use", "kernel", scene(kernel_owned={("tcp", 8000): "NFS server (nfsd)"}),
              ("the kernel's NFS server (nfsd) has it: remove that, or take another port",)),
    Situation("in-use", "connection", scene(), ("free within a minute (TIME_WAIT) of that connection being closed",)),
    Situation("in-use", "connection", scene(policy=EPHEMERAL, uid=BO),
              ("free within a minute (TIME_WAIT) of that connection being closed",
               "no outgoing connection takes a port below 7000, where the ephemeral range begins",
               "or keep outgoing connections away from this one"),
              ("sudo sysctl -w net.ipv4.ip_local_reserved_ports=5000-5009,6000,8000",)),
    Situation("in-use", "closing", scene(),
              ("it goes away by itself, a minute or two after the other end answers or times out",)),
    Situation("in-use", "time-wait", scene(),
              ("free by itself in 43 s", "set SO_REUSEADDR in the server: then it can start at once",
               "or let the client close first: whoever does keeps this entry"),
              sockets=(LEFT, LEFT._replace(expires_in=1.0)), rows=(REFUSED._replace(with_reuseaddr="free"),)),
    Situation("in-use", "time-wait", scene(),
              ("free by itself in 43 s",
               "set SO_REUSEADDR in the server: it helps once the server before it had set it too",
               "or let the client close first: whoever does keeps this entry"),
              sockets=(LEFT,), rows=(REFUSED,)),
    Situation("denied", "privileged", scene(policy=PortPolicy(9000), uid=BO),
              ("use port 9000 or higher", "or give the program the right: setcap cap_net_bind_service=+ep PROGRAM",
               "or let every user of this host bind port 8000 and higher"),
              ("sudo sysctl -w net.ipv4.ip_unprivileged_port_start=8000",)),
    Situation("denied", "privileged", scene(policy=PortPolicy(9000), uid=501, platform="macos"),
              ("use port 9000 or higher", "or bind the wildcard 0.0.0.0 or ::, which every user may do")),
    Situation("denied", "policy", scene(),
              ("look at what confines it: Landlock, seccomp, SELinux, AppArmor or a BPF program",)),
    Situation("denied", "reserved", scene(platform="windows", uid=None),
              ("take another port, or see which ones Windows keeps",
               "or free those of Hyper-V, WSL and Docker for a moment (as administrator)",
               "keep this port out of them from now on", "and let them choose again"),
              ("netsh interface ipv4 show excludedportrange protocol=tcp", "net stop winnat",
               "netsh interface ipv4 add excludedportrange protocol=tcp startport=8000 numberofports=1",
               "net start winnat")),
    Situation("denied", "policy", scene(platform="windows", uid=None),
              ("look at what guards ports here: security software, a firewall",)),
    Situation("unavailable", "address", scene(),
              ("bind an address of this host: 127.0.0.1, ::1, 192.0.2.7, fe80::1%eth0",)),
    Situation("unavailable", "family", scene(), ("bind an IPv4 address",)),
    Situation("free", "time-wait", scene(),
              ("set SO_REUSEADDR in the server (most do), or wait 43 s",), sockets=(LEFT,)),
    Situation("free", "closing", scene(), ("set SO_REUSEADDR in the server (most do)",)),
    Situation("free", "connection", scene(policy=EPHEMERAL), ("set SO_REUSEADDR in the server (most do)",)),
)  # fmt: skip


@pytest.mark.parametrize(
    "situation", SITUATIONS, ids=[f"{one.verdict}-{one.cause}-{number}" for number, one in enumerate(SITUATIONS)]
)
def test_each_cause(situation: Situation) -> None:
    seen = situation.seen
    finding = diagnosis(scene(), endpoint(8000))._replace(
        verdict=situation.verdict, cause=situation.cause, sockets=situation.sockets, binds=situation.rows
    )
    advice = advise(finding, seen).advice
    assert tuple(one.text for one in advice) == situation.says
    assert tuple(" ".join(one.command) for one in advice if one.command) == situation.commands


def test_every_cause_is_shown_above() -> None:
    shown = {(situation.verdict == "free", situation.cause) for situation in SITUATIONS}
    assert shown == {(False, cause) for cause in BY_CAUSE} | {(True, cause) for cause in BY_CAUSE_WHILE_FREE}
    held = {"listener", "bound", "udp-socket"}  # there, it depends on the holder
    assert {cause for _, cause in shown} | held == set(vocabulary("Cause"))


def test_nothing_is_advised_where_nothing_is_in_the_way() -> None:
    seen = scene()
    assert advise(diagnosis(seen, endpoint(8000)), seen).advice == ()


# Several holders, and what strangers can do to a command


def test_workers_whose_main_process_is_gone_are_advised_about_once() -> None:
    workers = tuple(node(condition=("orphaned",))._replace(pid=pid, parent_pid=1) for pid in (5, 6))
    seen = scene(listener(port=8000, pids=(5, 6)), processes=workers)
    assert len(advise(diagnosis(seen, endpoint(8000)), seen).advice) == 1


def test_a_client_of_the_port_is_not_advised_about() -> None:
    client = Socket("tcp", "ipv4", "127.0.0.1", 8000, "127.0.0.1", 9000, "ESTABLISHED", pids=(99,), inode=9)
    seen = scene(listener(port=8000, pids=(812,)), client, processes=(node(), node()._replace(pid=99)))
    assert [one.command for one in advise(diagnosis(seen, endpoint(8000)), seen).advice] == [
        ("portcheck", "stop", "8000")
    ]


def test_udp_ports_are_written_as_targets() -> None:
    socket = listener(port=53, pids=(812,), state=None)._replace(protocol="udp")
    seen = scene(socket, processes=(node(),), uid=BO)
    (advice,) = advise(diagnosis(seen, endpoint(53, "udp")), seen).advice
    assert advice.command == ("portcheck", "stop", "53/udp")


@pytest.mark.parametrize(
    "process",
    [
        node(service="--root=x.service", service_manager="systemd --user"),
        node(supervisor="pm2", supervisor_pid=70, supervised="all"),
        node(supervisor="pm2", supervisor_pid=70, supervised="--cron"),
        hidden(container=Container("systemd-nspawn", name="-H")),
    ],
)
def test_a_name_that_would_be_read_as_something_else_is_put_into_no_command(process: Process) -> None:
    assert held_by(process, BO)[1] == ()


def test_braces_in_a_strangers_name_mean_nothing() -> None:
    (advice,) = held_by(node(role="forwarder", forwards="{user}:{0}"), BO)[1]
    assert "a tunnel to {user}:{0}:" in advice.text
