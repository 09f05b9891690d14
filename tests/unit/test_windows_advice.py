"""What to do about a port on Windows and macOS, in their own terms: pure, nothing here ran on either."""

from __future__ import annotations

from typing import Any

import pytest
import test_macos_scenes as mac
import test_windows_scenes as win
from support.scenes import diagnosis, endpoint, listener, process

from portcheck.identify import launchd, windows
from portcheck.identify.launchd import Job
from portcheck.identify.windows import Known, PortProxy, RequestQueue
from portcheck.model import Diagnosis, Exclusion, Owner, PortPolicy, PortRange, Probe, Process
from portcheck.remedies.advise import advise
from portcheck.remedies.kinds import kind_of
from portcheck.render.words import quoted
from portcheck.stop.plan import Asker, plan

SYSTEM = Process(4, "System")
SVCHOST = Process(1200, "svchost.exe", parent_pid=700)


def held_by(one: Process, known: Known) -> Diagnosis:
    """Windows, where this process listens on port 80."""
    socket = listener(port=80, inode=None, pids=(one.pid,))
    told = windows.recognised(one, None, (socket,), known)
    seen = win.scene(socket, processes=(told,))
    return advise(diagnosis(seen, probe=win.Kernel(win.Held(socket))), seen)


def commands(found: Diagnosis) -> list[str]:
    return [quoted(advice.command, windows=True) for advice in found.advice if advice.command]


def texts(found: Diagnosis) -> str:
    return "; ".join(advice.text for advice in found.advice)


def refusal(found: Diagnosis) -> str | None:
    """Why `stop` does not stop it."""
    return plan(found, Asker(None, frozenset())).refusal


RELAY = Process(5, "wslrelay.exe", role="forwarder", forwards="a program inside WSL")
SERVICES = Known({1200: ("MSSQL$SQLEXPRESS",)})
IIS = Known({3408: ("W3SVC",)}, (RequestQueue("DefaultAppPool", (9,), frozenset((80,))),), programs={9: "w3wp.exe"})
PROXY = Known({1200: ("iphlpsvc",)}, rules=(PortProxy("v4tov4", "0.0.0.0", 80, "172.20.1.2:80"),))
EXPRESS = Known({}, (RequestQueue(None, (5678,), frozenset((80,))),), programs={5678: "iisexpress.exe"})


@pytest.mark.parametrize(
    ("one", "known", "text", "command"),
    [
        (SVCHOST, Known({1200: ("W3LOGSVC",)}), "stop the service", "Stop-Service W3LOGSVC"),
        (SVCHOST, SERVICES, "stop the service (as administrator)", "Stop-Service 'MSSQL$SQLEXPRESS'"),
        (SVCHOST, Known({1200: ("RpcSs", "RpcEptMapper")}), "one of the services RpcSs, RpcEptMapper", None),
        (SYSTEM, IIS, "the IIS site", "Stop-Service W3SVC"),
        (SYSTEM, EXPRESS, "http.sys listens for iisexpress.exe (PID 5678)", None),
        (SYSTEM, Known(), "Windows itself has it", None),
        (
            SVCHOST,
            PROXY,
            "forwards it to 172.20.1.2:80",
            "netsh interface portproxy delete v4tov4 listenport=80 listenaddress=0.0.0.0",
        ),
        (
            Process(5, "wslrelay.exe", role="forwarder", forwards="a program inside WSL"),
            Known(),
            "WSL",
            "wsl --shutdown",
        ),
        (Process(5444, condition=("ended",)), Known(), "the child that inherited its socket", None),
    ],
    ids=["service", "quoting", "services", "IIS", "IIS Express", "kernel", "portproxy", "WSL", "ended"],
)
def test_windows_own_terms(one: Process, known: Known, text: str, command: str | None) -> None:
    found = held_by(one, known)
    assert text in texts(found)
    assert commands(found) == ([command] if command else [])
    assert not any("sudo" in said or "systemctl" in said for said in commands(found))
    assert refusal(found), "stop never ends what would come back, or what others need"


def test_an_ordinary_program_on_windows_is_stopped_from_here() -> None:
    found = held_by(Process(5444, "Service.exe", parent_pid=700), Known())
    assert commands(found) == ["portcheck stop 80"]
    assert refusal(found) is None


def test_an_excluded_range() -> None:
    policy = PortPolicy(excluded=(Exclusion("udp", "ipv4", PortRange(50, 60)),), exclusions={"udp": True})
    seen = win.scene(policy=policy)
    found = advise(diagnosis(seen, endpoint(53, "udp"), probe=win.Kernel(excluded=True)), seen)
    assert commands(found) == [
        "netsh interface ipv4 show excludedportrange protocol=udp",
        "net stop winnat",
        "netsh interface ipv4 add excludedportrange protocol=udp startport=53 numberofports=1",
        "net start winnat",
    ]


def test_a_refusal_without_a_reason_on_windows() -> None:
    seen = win.scene(policy=PortPolicy(exclusions={"tcp": True}))
    found = advise(diagnosis(seen, probe=lambda _: Probe("denied", "WSAEACCES")), seen)
    assert "security software" in texts(found)
    assert "Landlock" not in texts(found)


# macOS

LAUNCHD = process(1, "launchd", parent_pid=None, role="service manager")
NOTHING = launchd.Known()


def on_mac(one: Process, known: launchd.Known = NOTHING, port: int = 3000) -> Diagnosis:
    socket = mac.held(port=port, pids=(one.pid,))
    told = launchd.recognised(one, {one.pid: one}, (socket,), known)
    seen = mac.mac(socket)._replace(processes={one.pid: told})
    return advise(diagnosis(seen, endpoint(port), probe=mac.xnu(socket)), seen)


def mac_commands(found: Diagnosis) -> list[str]:
    return [quoted(advice.command, windows=False) for advice in found.advice if advice.command]


def jobs(**fields: Any) -> launchd.Known:
    return launchd.Known({812: Job(**fields)})


@pytest.mark.parametrize(
    ("one", "known", "command"),
    [
        (
            mac.ANN,
            jobs(label="com.example.api", target="gui/501/com.example.api"),
            "launchctl bootout gui/501/com.example.api",
        ),
        (
            process(812, "httpd"),
            jobs(label="org.apache.httpd", target="system/org.apache.httpd"),
            "sudo launchctl bootout system/org.apache.httpd",
        ),
        (mac.ANN, jobs(label="homebrew.mxcl.nginx", target="gui/501/homebrew.mxcl.nginx"), "brew services stop nginx"),
        (
            LAUNCHD,
            launchd.Known(listening={("tcp", 3000): Job("com.example.ssh", "system/com.example.ssh")}),
            "sudo launchctl bootout system/com.example.ssh",
        ),
        (LAUNCHD, NOTHING, "launchctl print system"),
        (mac.ANN, NOTHING, "portcheck stop 3000"),
    ],
    ids=["agent", "daemon", "homebrew", "socket activation", "unknown job", "plain"],
)
def test_macos_own_terms(one: Process, known: launchd.Known, command: str) -> None:
    found = on_mac(one, known)
    assert mac_commands(found) == [command]
    assert not any("systemctl" in said for said in mac_commands(found))


def test_airplay_is_turned_off_in_the_settings() -> None:
    found = on_mac(Process(663, "ControlCenter", uid=501, user="ann", parent_pid=1), port=5000)
    assert "System Settings" in texts(found)
    assert mac_commands(found) == []
    assert "AirPlay Receiver" in found.message
    assert refusal(found), "launchd would bring ControlCenter back"


def test_privileged_ports_on_macos() -> None:
    seen = mac.mac()
    found = advise(diagnosis(seen, endpoint(80), probe=mac.xnu()), seen)
    assert "bind the wildcard 0.0.0.0 or ::" in texts(found)
    assert "setcap" not in texts(found)


def test_whom_a_user_cannot_see_on_a_system_without_user_ids() -> None:
    hidden = Owner(None, Process(0), (0,))
    assert kind_of(hidden, None).name == "hidden-from-user"
