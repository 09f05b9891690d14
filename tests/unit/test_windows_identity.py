"""Who holds a port on Windows, from what its tools tell: pure, nothing here ran on Windows."""

from __future__ import annotations

from typing import Any

import pytest
from support.scenes import listener

from portcheck.identify.containers import Inspected, Publication
from portcheck.identify.facts import Facts
from portcheck.identify.managers import Subject, engine_of, with_container
from portcheck.identify.who import who_is
from portcheck.identify.windows import SEVERAL, WINDOWS, Known, PortProxy, RequestQueue, recognised
from portcheck.model import Container, Hands, PortProxyRule, Process, Socket

SYSTEM = Process(4, "System", user=r"NT AUTHORITY\SYSTEM")


def svchost(pid: int = 1200) -> Process:
    return Process(pid, "svchost.exe", parent_pid=700)


def queue(*pids: int, port: int = 80, name: str | None = None, numbers: tuple[int, ...] = ()) -> RequestQueue:
    return RequestQueue(name, pids, frozenset((port,)), numbers)


def told(process: Process, known: Known, *sockets: Socket, parent: Process | None = None) -> dict[str, Any]:
    found = recognised(process, parent, sockets or (listener(port=80),), known)
    return {
        field: value
        for field, value in found._asdict().items()
        if value is not None and value != getattr(process, field)
    }


def test_a_service_in_a_process_of_its_own() -> None:
    assert told(svchost(), Known({1200: ("W3SVC",)})) == {
        "confirmed": True,
        "service": "W3SVC",
        "service_manager": WINDOWS,
    }


def test_another_claim_of_a_service_stays_unconfirmed() -> None:
    claiming = svchost()._replace(claim="pm2's web", confirmed=False)
    assert recognised(claiming, None, (listener(port=80),), Known({1200: ("W3SVC",)})).confirmed is False


def test_several_services_in_one_process_are_all_named_and_none_is_chosen() -> None:
    found = told(svchost(), Known({1200: ("RpcEptMapper", "RpcSs")}))
    assert found == {"confirmed": True, "service": "RpcEptMapper, RpcSs", "service_manager": SEVERAL}


def test_a_program_that_a_services_program_started() -> None:
    parent = Process(5000, "pg_ctl.exe")
    known = Known({5000: ("postgresql-x64-16",)})
    assert told(Process(5001, "postgres.exe"), known, parent=parent)["service"] == "postgresql-x64-16"


@pytest.mark.parametrize(
    ("parent", "service"),
    [("svchost.exe", "Schedule"), ("sshd.exe", "sshd"), ("taskhost.exe", "Schedule"), ("explorer.exe", None)],
)
def test_a_program_that_a_service_merely_started_is_not_that_service(parent: str, service: str | None) -> None:
    known = Known({700: (service,)} if service else {})
    assert told(Process(800, "node.exe"), known, parent=Process(700, parent)) == {}


def test_iis_by_its_worker() -> None:
    known = Known({3408: ("W3SVC", "WAS")}, (queue(3248, name="DefaultAppPool"),), programs={3248: "w3wp.exe"})
    assert told(SYSTEM, known) == {"confirmed": True, "role": "kernel", "service": "W3SVC", "service_manager": WINDOWS}


def test_iis_without_a_worker_by_who_made_the_queue() -> None:
    known = Known({3408: ("W3SVC", "WAS")}, (queue(name="DefaultAppPool", numbers=(1000, 0, 3408)),))
    assert told(SYSTEM, known)["service"] == "W3SVC"


def test_a_queue_that_nobody_serves_is_not_said_to_be_iis() -> None:
    known = Known({3408: ("W3SVC",)}, (queue(name="other", numbers=(1000, 0)),))
    assert told(SYSTEM, known) == {"role": "kernel", "forwards": "the request queue other"}


def test_a_service_behind_http_sys() -> None:
    known = Known({944: ("WinRM",)}, (queue(944, port=5985),), programs={944: "svchost.exe"})
    assert told(SYSTEM, known, listener(port=5985))["service"] == "WinRM"


def test_a_program_behind_http_sys_that_is_no_service() -> None:
    known = Known({}, (queue(5678),), programs={5678: "iisexpress.exe"})
    assert told(SYSTEM, known) == {"role": "kernel", "forwards": "iisexpress.exe (PID 5678)"}


def test_two_services_on_one_port_of_http_sys() -> None:
    known = Known({944: ("WinRM",), 952: ("SQLServerReportingServices",)}, (queue(944), queue(952)))
    assert told(SYSTEM, known)["service_manager"] == SEVERAL


def test_a_service_and_a_program_on_one_port_of_http_sys_are_both_named() -> None:
    known = Known({944: ("WinRM",)}, (queue(944), queue(5678)), programs={5678: "iisexpress.exe"})
    found = told(SYSTEM, known)
    assert found == {"role": "kernel", "forwards": "WinRM, iisexpress.exe (PID 5678)"}


def test_a_port_of_the_kernel_that_is_not_http_syss() -> None:
    known = Known({944: ("WinRM",)}, (queue(944, port=5985),))
    assert told(SYSTEM, known, listener(port=445)) == {"role": "kernel"}


def test_the_port_proxy() -> None:
    known = Known({1200: (*("BITS", "iphlpsvc"),)}, rules=(PortProxy("v4tov6", "*", 8080, "[::1]:80"),))
    assert told(svchost(), known, listener(port=8080)) == {
        "confirmed": True,
        "role": "forwarder",
        "service": "iphlpsvc",
        "service_manager": WINDOWS,
        "forwards": "[::1]:80",
        "supervised": "v4tov6 listenaddress=*",
        "port_proxy": PortProxyRule("v4tov6", "*"),
    }


def test_another_port_of_ip_helper_is_no_port_proxys() -> None:
    known = Known({1200: ("iphlpsvc",)}, rules=(PortProxy("v4tov4", "*", 8080, "192.0.2.1:80"),))
    assert told(svchost(), known, listener(port=8081)) == {
        "confirmed": True,
        "service": "iphlpsvc",
        "service_manager": WINDOWS,
    }


def test_an_ordinary_program_stays_what_it_is() -> None:
    assert told(Process(5444, "Service.exe"), Known({1200: ("W3SVC",)})) == {}


def test_docker_desktop_is_asked_for_the_container_behind_its_proxy() -> None:
    program = Process(8000, "com.docker.backend.exe", executable=r"C:\Program Files\Docker\com.docker.backend.exe")
    backend = who_is(Facts(program))
    socket = listener("0.0.0.0", 8088, pids=(8000,))
    assert engine_of(backend, None) == "docker"
    web = Inspected(Container("docker", "5f46", "web"), (Publication("tcp", "", 8088),))
    found = with_container(Subject(backend, (socket,)), (web,), Hands())
    assert (found.role, found.container and found.container.name) == ("proxy", "web")
    assert with_container(Subject(backend, (listener(port=9),)), (web,), Hands()) == backend
