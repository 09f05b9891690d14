"""`portcheck` and `portcheck stop` on a host whose PID 1 is a real systemd: what it advises really frees the port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.documents import commands, steps, told
from support.patience import wait_for
from support.person import advised
from support.rigs.debian_root import USER
from support.rigs.sandbox import skip_if_unavailable
from support.rigs.systemd_host import SystemdHost, boot

AT_ONCE = ("--yes", "--settle", "0")
# Listens on the port that it is told, or on the socket that systemd hands over.
ECHO = """\
import os, socket, sys
port = sys.argv[1]
listener = socket.socket(fileno=3) if port == "inherited" else socket.create_server(("", int(port)))
while True:
    listener.accept()[0].close()
"""
SERVICE = "[Service]\nExecStart=/usr/bin/python3 /srv/echo.py {}\n"


@pytest.fixture(scope="module")
def host(systemd_root: Path) -> Iterator[SystemdHost]:
    """One host for all: every test has units and a port of its own."""
    with skip_if_unavailable("systemd host"), boot(systemd_root) as booted:
        booted.write("/srv/echo.py", ECHO)
        yield booted


def units(host: SystemdHost, start: str, *, user: str | None = None, **texts: str) -> None:
    """Makes units (`web_service`: web.service), of the system or of the ordinary user, and starts one."""
    folder = "/etc/systemd/user" if user else "/etc/systemd/system"
    systemctl = ["systemctl", "--user"] if user else ["systemctl"]
    for name, text in texts.items():
        host.write(f"{folder}/{name.replace('_', '.')}", text)
    host.run([*systemctl, "daemon-reload"], user or "root")
    host.run([*systemctl, "start", start], user or "root")


def checked(host: SystemdHost, port: int, user: str = "root") -> dict[str, Any]:
    """The answer for a port, once somebody listens there."""
    wait_for(lambda: listens(host, port), f"a listener on port {port}")
    (result,) = json.loads(host.portcheck("--json", str(port), user=user).stdout)["results"]
    assert result["verdict"] == "in-use"
    found: dict[str, Any] = result
    return found


def stopped(host: SystemdHost, port: int, *options: str, code: int, user: str = "root") -> dict[str, Any]:
    wait_for(lambda: listens(host, port), f"a listener on port {port}")
    done = host.portcheck("stop", str(port), *options, "--json", user=user)
    return told(done, code)


def listens(host: SystemdHost, port: int) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != ""


def is_active(host: SystemdHost, unit: str) -> bool:
    return host.run(["systemctl", "is-active", unit], check=False).returncode == 0


# Debian's own services


@pytest.mark.parametrize("unit", ["apache2.service", "nginx.service"])
def test_what_is_advised_for_a_service_frees_its_port(host: SystemdHost, unit: str) -> None:
    host.run(["systemctl", "start", unit])
    (command,) = commands(checked(host, 80))
    assert command == ["systemctl", "stop", unit]
    host.run(command)
    assert not listens(host, 80)
    assert host.portcheck("80").returncode == 0


@pytest.mark.parametrize("unit", ["apache2.service", "nginx.service"])
def test_a_service_is_stopped_by_systemd(host: SystemdHost, unit: str) -> None:
    host.run(["systemctl", "start", unit])
    found = stopped(host, 80, "--yes", code=0)
    assert steps(found) == [{"command": ["systemctl", "stop", unit], "signalled": []}]
    assert found["message"] == f"Port 80 is free now: {unit} is stopped."
    (step,) = found["plan"]
    assert {owner["pid"] for owner in found["before"]["owners"]} <= {process["pid"] for process in step["processes"]}
    assert not is_active(host, unit)


def test_to_an_ordinary_user_the_service_is_named_although_its_processes_are_hidden(host: SystemdHost) -> None:
    host.run(["systemctl", "start", "nginx.service"])
    found = checked(host, 80, USER)
    assert (found["owners"][0]["pid"], found["owners"][0]["service"]) == (None, "nginx.service")
    assert commands(found) == [["sudo", "systemctl", "stop", "nginx.service"]]
    refused = stopped(host, 80, "--yes", code=1, user=USER)
    assert (refused["outcome"], refused["refusal"]) == ("refused", "only root can stop nginx.service")
    assert commands(refused) == [["sudo", "systemctl", "stop", "nginx.service"]]
    assert is_active(host, "nginx.service")
    host.run(["sh", "-c", advised(host.portcheck("80", user=USER).stdout)[0]], USER)
    assert not listens(host, 80)


def test_a_service_of_an_ordinary_user_under_root_takes_root_too(host: SystemdHost) -> None:
    """Whose process it is does not matter to systemd: the unit is the system's."""
    units(host, "as.service", as_service=f"{SERVICE.format(7010)}User={USER}\n")
    refused = stopped(host, 7010, "--yes", code=1, user=USER)
    assert refused["refusal"] == "only root can stop as.service"
    stopped(host, 7010, *AT_ONCE, code=0)


@pytest.mark.parametrize(
    ("start", "stop"), [(["apachectl", "start"], ["apachectl", "stop"]), (["nginx"], ["nginx", "-s", "quit"])]
)
def test_a_server_that_was_started_by_hand(host: SystemdHost, start: list[str], stop: list[str]) -> None:
    """No unit looks after it: its own command stops it as a whole, and so does SIGTERM to its main process."""
    for ends in (lambda: host.run(stop), lambda: stopped(host, 80, *AT_ONCE, code=0)):
        host.run(["env", "APACHE_STARTED_BY_SYSTEMD=yes", *start])  # else Debian's apachectl starts the unit
        found = checked(host, 80)
        assert {owner["service"] for owner in found["owners"]} == {None}
        assert commands(found) == [stop]
        ends()
        wait_for(lambda: not listens(host, 80), "it has ended")


def test_all_that_runs_in_a_unit_ends_with_it(host: SystemdHost) -> None:
    """A program beside the server, which serves another port, and the child of one that has left it."""
    script = "/usr/bin/python3 /srv/echo.py 7012 & (setsid sleep 1000 &); exec /usr/bin/python3 /srv/echo.py 7011"
    units(host, "both.service", both_service=f"[Service]\nExecStart=/bin/sh -c '{script}'\n")
    wait_for(lambda: listens(host, 7012), "the other one listens")
    found = stopped(host, 7011, *AT_ONCE, code=0)
    (step,) = found["plan"]
    assert sorted(process["name"] for process in step["processes"]) == ["python3", "python3", "sleep"]
    assert [process["also_serves"] for process in step["processes"]].count([7012]) == 1
    assert not listens(host, 7012)


def test_the_resolver_is_not_stopped_but_lets_go_of_the_port(host: SystemdHost) -> None:
    resolver = "systemd-resolved.service"
    host.run(["systemctl", "start", resolver])
    refused = stopped(host, 53, "--yes", code=1)
    said = "this host's own programs look up names there: have the resolver leave the port alone, it goes on otherwise"
    assert refused["refusal"] == said
    _, link, stop = commands(refused)
    assert stop == ["systemctl", "stop", resolver]
    assert advised(host.portcheck("53").stdout)[0].startswith("sh -c '")
    host.run(["sh", "-c", advised(host.portcheck("53").stdout)[0]])
    wait_for(lambda: is_active(host, resolver), "it runs again")
    assert not listens(host, 53)
    host.run(link)
    assert "127.0.0.53" not in host.run(["cat", "/etc/resolv.conf"]).stdout
    host.run(stop)


def test_the_unit_of_a_super_server_is_stopped_or_reads_its_file_again(host: SystemdHost) -> None:
    both = "127.0.0.1:7015 stream tcp nowait root /bin/cat cat\n127.0.0.1:7016 dgram udp wait root /bin/cat cat\n"
    host.write("/etc/inetd.conf", both)
    host.run(["systemctl", "restart", "inetd.service"])
    stop, reload = commands(checked(host, 7015))
    assert (stop, reload[:2]) == (["systemctl", "stop", "inetd.service"], ["kill", "-HUP"])
    host.write("/etc/inetd.conf", both.partition("\n")[2])
    host.run(["sh", "-c", advised(host.portcheck("7015").stdout)[1]])
    wait_for(lambda: not listens(host, 7015), "it has read its file again")
    assert is_active(host, "inetd.service")
    host.write("/etc/inetd.conf", both)
    host.run(reload)
    wait_for(lambda: listens(host, 7015), "it listens again")
    host.run(["sh", "-c", advised(host.portcheck("7015").stdout)[0]])
    assert not listens(host, 7015)


# What systemd-nspawn sends an init to power off (systemd-nspawn(1)).
AN_INIT = "import signal, sys\nsignal.signal(signal.SIGRTMIN + 4, lambda *_: sys.exit())\n"


@pytest.mark.parametrize(("port", "program", "helps"), [(7017, "init", "poweroff"), (7018, "echo", "terminate")])
def test_a_container_of_nspawn(host: SystemdHost, port: int, program: str, helps: str) -> None:
    """One in that host, with that host's network: with an init, and with a server as its first process."""
    host.write("/srv/init.py", AN_INIT + ECHO)
    options = ["--quiet", f"--machine=box{port}", "--directory=/", "--volatile=yes", "--bind-ro=/srv"]
    box = host.start(["systemd-nspawn", *options, "/usr/bin/python3", f"/srv/{program}.py", str(port)])
    found = checked(host, port)
    assert found["owners"][0]["container"]["name"] == f"box{port}"
    shown = advised(host.portcheck(str(port)).stdout)
    assert shown == [f"machinectl {verb} box{port}" for verb in ("poweroff", "terminate")]
    host.run(["sh", "-c", shown[("poweroff", "terminate").index(helps)]])
    wait_for(lambda: not listens(host, port), "it has ended")
    box.wait(60)


# What systemd starts again


def main_pid(host: SystemdHost, unit: str) -> str:
    return host.run(["systemctl", "show", "--property=MainPID", "--value", unit]).stdout.strip()


def test_a_restart_policy_does_not_undo_a_stop(host: SystemdHost) -> None:
    units(host, "always.service", always_service=f"{SERVICE.format(7020)}Restart=always\nRestartSec=100ms\n")
    found = stopped(host, 7020, "--yes", code=0)
    assert (found["outcome"], found["plan"][0]["command"]) == ("free", ["systemctl", "stop", "always.service"])
    assert not listens(host, 7020)


def test_a_process_that_was_killed_by_hand_comes_back_under_its_unit(host: SystemdHost) -> None:
    """As if `systemctl stop` were no better than kill(1): everything else is real."""
    units(host, "again.service", again_service=f"{SERVICE.format(7030)}Restart=always\nRestartSec=300ms\n")
    host.write("/opt/by-hand/systemctl", KILLS, "755")
    first = main_pid(host, "again.service")
    wait_for(lambda: listens(host, 7030), "it listens")
    done = host.run(
        ["env", "PATH=/opt/by-hand:/usr/bin:/bin", "/usr/local/bin/portcheck", "stop", "7030", "--yes", "--json"],
        check=False,
    )
    (found,) = json.loads(done.stdout)["results"]
    second = main_pid(host, "again.service")
    assert (done.returncode, found["outcome"]) == (1, "respawned")
    assert first != second
    assert [owner["pid"] for owner in found["after"]["owners"]] == [int(second)]
    assert "systemd (again.service) started it again: again.service, python3 /srv/echo.py" in found["message"]
    (command,) = commands(found)
    assert command == ["systemctl", "stop", "again.service"]
    host.run(command)
    assert not listens(host, 7030)


KILLS = """\
#!/bin/sh
[ "$1" = stop ] || exec /usr/bin/systemctl "$@"
kill -KILL "$(/usr/bin/systemctl show --property=MainPID --value "$2")"
"""


def test_a_unit_that_another_one_upholds_comes_back(host: SystemdHost) -> None:
    """systemd itself starts it again, whatever was stopped."""
    units(host, "keeper.service", held_service=SERVICE.format(7040),
          keeper_service="[Unit]\nUpholds=held.service\n[Service]\nExecStart=/bin/sleep infinity\n")  # fmt: skip
    found = stopped(host, 7040, "--yes", code=1)
    assert found["outcome"] == "respawned"
    assert "held.service is stopped, but systemd (held.service) started it again" in found["message"]
    host.run(["systemctl", "stop", "keeper.service", "held.service"])


def test_a_stop_that_takes_longer_than_the_time_allowed(host: SystemdHost) -> None:
    text = f"{SERVICE.format(7050)}KillSignal=SIGCONT\nTimeoutStopSec=60\nSendSIGKILL=yes\n"
    units(host, "slow.service", slow_service=text)
    found = stopped(host, 7050, "--yes", "--timeout", "500ms", code=1)
    assert found["outcome"] == "held"
    assert "'systemctl stop slow.service' was not done after 0.5 s" in found["message"]
    host.run(["systemctl", "kill", "--signal=SIGKILL", "slow.service"])


@pytest.mark.parametrize(("port", "trigger"), [(7041, "path"), (7042, "timer")])
def test_what_would_start_it_again_is_stopped_too(host: SystemdHost, port: int, trigger: str) -> None:
    again = {"path": "[Path]\nPathExists=/srv/echo.py\n", "timer": "[Timer]\nOnUnitInactiveSec=1s\nAccuracySec=10ms\n"}
    units(host, f"t{port}.service", **{f"t{port}_service": SERVICE.format(port), f"t{port}_{trigger}": again[trigger]})
    host.run(["systemctl", "start", f"t{port}.{trigger}"])
    (command,) = commands(checked(host, port))
    assert command == ["systemctl", "stop", f"t{port}.{trigger}", f"t{port}.service"]
    found = stopped(host, port, "--yes", code=0)
    assert found["plan"][0]["command"] == command
    assert not is_active(host, f"t{port}.{trigger}")


def test_a_trigger_that_does_not_run_is_left_alone(host: SystemdHost) -> None:
    units(host, "idle.service", idle_service=SERVICE.format(7043), idle_path="[Path]\nPathExists=/srv/echo.py\n")
    host.run(["systemctl", "start", "idle.path"])
    host.run(["systemctl", "stop", "idle.path"])
    assert commands(checked(host, 7043)) == [["systemctl", "stop", "idle.service"]]
    stopped(host, 7043, *AT_ONCE, code=0)


def test_what_is_stopped_with_it_is_said_before_and_after(host: SystemdHost) -> None:
    """A unit that requires it, and one that is bound to that; a third one that does not run is none."""
    needs = "[Unit]\n{0}={1}.service\nAfter={1}.service\n[Service]\nExecStart=/bin/sleep infinity\n"
    units(host, "last.service", base_service=SERVICE.format(7044), next_service=needs.format("Requires", "base"),
          last_service=needs.format("BindsTo", "next"), other_service=needs.format("Requires", "base"))  # fmt: skip
    found = checked(host, 7044)
    assert found["owners"][0]["required_by"] == ["next.service", "last.service"]
    assert found["advice"][0]["text"].endswith("; next.service and last.service will be stopped with it")
    _, plan, last = host.portcheck("stop", "7044", *AT_ONCE).stdout.splitlines()
    assert plan == "  plan: systemctl stop base.service, which stops next.service and last.service too"
    assert last == "Port 7044 is free now: base.service (with next.service and last.service) is stopped."
    assert not is_active(host, "last.service")


# What a unit has left behind

DAEMON = "/bin/sh -c '/usr/bin/python3 /srv/echo.py {} </dev/null >/dev/null 2>&1 &{}'"


def test_what_a_oneshot_has_left_behind_is_ended_itself(host: SystemdHost) -> None:
    text = f"[Service]\nType=oneshot\nKillMode=process\nExecStart={DAEMON.format(7045, '')}\n"
    units(host, "once.service", once_service=text)
    found = stopped(host, 7045, *AT_ONCE, code=0)
    (owner,) = found["before"]["owners"]
    assert (owner["service"], owner["left_by"], owner["confirmed"]) == (None, "once.service", True)
    assert "left behind by once.service" in found["before"]["message"]
    assert steps(found) == [{"command": None, "signalled": [owner["pid"]]}]


def test_a_unit_that_leaves_its_processes_is_stopped_and_then_they_are_ended(host: SystemdHost) -> None:
    text = f"[Service]\nKillMode=process\nExecStart={DAEMON.format(7046, ' exec sleep infinity')}\n"
    units(host, "leaves.service", leaves_service=text)
    found = stopped(host, 7046, "--yes", "--timeout", "1s", code=1)
    assert (found["outcome"], found["plan"][0]["command"]) == ("held", ["systemctl", "stop", "leaves.service"])
    assert "left behind by leaves.service" in found["message"]
    (command,) = commands(found)
    assert command == ["portcheck", "stop", "7046"]
    assert stopped(host, 7046, *AT_ONCE, code=0)["outcome"] == "free"


# Socket activation


def socket_unit(host: SystemdHost, port: int, *, user: str | None = None) -> None:
    units(host, f"on{port}.socket", user=user, **{
        f"on{port}_socket": f"[Socket]\nListenStream={port}\n[Install]\nWantedBy=sockets.target\n",
        f"on{port}_service": SERVICE.format("inherited"),
    })  # fmt: skip


def connect(host: SystemdHost, port: int) -> None:
    """A client, which makes systemd start the service."""
    client = f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
    host.run(["python3", "-c", client])


@pytest.mark.parametrize(("port", "started"), [(7060, False), (7061, True)])
def test_what_is_advised_for_a_socket_unit_frees_its_port(host: SystemdHost, port: int, started: bool) -> None:
    socket_unit(host, port)
    host.run(["systemctl", "enable", f"on{port}.socket"])
    if started:
        connect(host, port)
    stop, disable = commands(checked(host, port))
    assert stop == ["systemctl", "stop", f"on{port}.socket", f"on{port}.service"]
    host.run(stop)
    assert not listens(host, port)
    assert disable == ["systemctl", "disable", "--now", f"on{port}.socket"]
    host.run(disable)
    assert host.run(["systemctl", "is-enabled", f"on{port}.socket"], check=False).stdout == "disabled\n"


@pytest.mark.parametrize(("port", "started"), [(7062, False), (7063, True)])
def test_a_socket_unit_is_stopped_with_its_service(host: SystemdHost, port: int, started: bool) -> None:
    """PID 1 holds the port: it is not the one that is stopped."""
    socket_unit(host, port)
    if started:
        connect(host, port)
    found = stopped(host, port, "--yes", code=0)
    assert 1 in [owner["pid"] for owner in found["before"]["owners"]]
    # the client's connection is left in TIME_WAIT, and told of
    assert found["message"].startswith(f"Port {port} is free now: on{port}.socket is stopped")
    assert not is_active(host, f"on{port}.service")


def test_a_socket_unit_that_starts_one_service_for_each_connection(host: SystemdHost) -> None:
    units(host, "each.socket", each_socket="[Socket]\nListenStream=7064\nAccept=yes\n",
          **{"each@_service": "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n"})  # fmt: skip
    found = stopped(host, 7064, *AT_ONCE, code=0)
    assert found["plan"][0]["command"] == ["systemctl", "stop", "each.socket"]


def test_the_service_manager_itself_is_never_stopped(host: SystemdHost) -> None:
    """Where systemctl cannot be asked for which unit it listens."""
    socket_unit(host, 7065)
    host.write("/opt/silent/systemctl", "#!/bin/sh\nexit 1\n", "755")
    done = host.run(
        ["env", "PATH=/opt/silent:/usr/bin:/bin", "/usr/local/bin/portcheck", "stop", "7065", "--yes", "--json"],
        check=False,
    )
    (found,) = json.loads(done.stdout)["results"]
    assert (done.returncode, found["outcome"]) == (1, "refused")
    assert found["refusal"] == "systemd holds it for a service: find out for which"
    assert "service-manager-no-answer" in {spot["code"] for spot in found["before"]["blind_spots"]}
    (command,) = commands(found)
    assert "on7065.socket" in host.run(command).stdout
    host.run(["systemctl", "stop", "on7065.socket"])


# A user's systemd


@pytest.mark.parametrize(("port", "asker"), [(7070, USER), (7071, "root")])
def test_a_user_service(host: SystemdHost, port: int, asker: str) -> None:
    units(host, f"mine{port}.service", user=USER, **{f"mine{port}_service": SERVICE.format(port)})
    (command,) = commands(checked(host, port, asker))
    machine = [] if asker == USER else [f"--machine={USER}@"]
    assert command == ["systemctl", "--user", *machine, "stop", f"mine{port}.service"]
    found = stopped(host, port, *AT_ONCE, code=0, user=asker)
    assert found["plan"][0]["command"] == command
    host.run(["systemctl", "--user", "start", f"mine{port}.service"], USER)
    wait_for(lambda: listens(host, port), "it listens again")
    host.run(command, asker)
    assert not listens(host, port)


@pytest.mark.parametrize(("port", "asker"), [(7072, USER), (7073, "root")])
def test_a_socket_unit_of_a_user(host: SystemdHost, port: int, asker: str) -> None:
    socket_unit(host, port, user=USER)
    found = stopped(host, port, *AT_ONCE, code=0, user=asker)
    assert found["message"] == f"Port {port} is free now: on{port}.socket is stopped."


def test_a_users_program_in_his_session_is_no_service(host: SystemdHost) -> None:
    server = host.start(["/usr/bin/python3", "/srv/echo.py", "7074"], USER)
    found = stopped(host, 7074, *AT_ONCE, code=0, user=USER)
    assert (found["plan"][0]["command"], len(found["plan"][0]["signalled"])) == (None, 1)
    server.wait(60)


def test_what_portchecks_own_unit_has_started_is_not_that_unit(host: SystemdHost) -> None:
    """As in the job of a CI runner: stopping the unit would stop the job."""
    script = "/usr/bin/python3 /srv/echo.py 7080 & /usr/local/bin/portcheck wait 7080 -q && portcheck stop 7080 --yes"
    done = host.run(["systemd-run", "--pipe", "--wait", "--unit=job.service", "sh", "-c", script], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plan: SIGTERM to python3 /srv/echo.py (PID " in done.stdout
    assert "Port 7080 is free now: " in done.stdout
