"""By whom, and where: declarations held against scenes made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from support.declared import HERE, composed, container, declared
from support.scenes import listener, process, scene
from support.verified import asked, expecting, faults, findings, udp

from portcheck.model import BlindSpot, Container, Note, Process
from portcheck.preflight.declarations import Declaration
from portcheck.preflight.judge import Project
from portcheck.verification.judge import Look, judge

NGINX = process(382, "nginx", executable="/usr/sbin/nginx", service="nginx.service", confirmed=True)
WORKER = process(390, "nginx", executable="/usr/sbin/nginx", parent_pid=382, user="www-data", uid=33)


def by(*processes: Process, **fields: Any) -> Any:
    pids = tuple(one.pid for one in processes)
    return scene(listener(pids=pids, **fields), processes=processes)


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({}, []),
        ({"process": "nginx"}, []),
        ({"process": "/usr/sbin/nginx"}, []),
        ({"process": "/tmp/nginx"}, ["held-by"]),
        ({"process": "httpd"}, ["held-by"]),
        ({"user": "root"}, []),
        ({"user": "0"}, []),
        ({"user": "www-data"}, []),  # a worker has the socket too
        ({"user": "33", "process": "nginx"}, []),
        ({"user": "ann"}, ["held-by"]),
        ({"unit": "nginx.service"}, []),
        ({"unit": "nginx"}, []),
        ({"unit": "nginx.service", "user": "root"}, []),
        ({"unit": "apache2"}, ["held-by"]),
        ({"container": "web"}, ["held-by"]),
    ],
)
def test_by_whom(expected: dict[str, str], wrong: list[str]) -> None:
    assert faults(by(NGINX, WORKER), expecting(80, **expected)) == [wrong]


@pytest.mark.parametrize(
    ("holder", "expected", "wrong"),
    [
        # a manager that was asked and denies it, one that gave no answer, and a claim that nobody asked about
        (process(1, claim="nginx.service", confirmed=False), {"unit": "nginx"}, ["held-by"]),
        (
            process(1, service="nginx.service", confirmed=False, unanswered="it takes too long"),
            {"unit": "nginx"},
            ["?"],
        ),
        (
            process(1, service="other.service", confirmed=False, unanswered="it takes too long"),
            {"unit": "nginx"},
            ["?"],
        ),
        (process(1, container=Container("docker", "4c", "web"), confirmed=True), {"container": "web"}, []),
        (process(1, container=Container("docker", "4c", "web"), confirmed=False), {"container": "web"}, ["?"]),
        (process(1, container=Container("docker", "4c", "db"), confirmed=True), {"container": "web"}, ["held-by"]),
        (process(1, publisher="docker"), {"container": "web"}, ["?"]),
        (process(1, executable=None), {"process": "/usr/sbin/nginx"}, ["?"]),
        (process(1, executable="/usr/sbin/nginx (deleted)"), {"process": "/usr/sbin/nginx"}, []),
        (process(1, user=None, uid=None), {"user": "root"}, ["?"]),
    ],
)
def test_what_a_manager_has_not_said_is_not_known(holder: Process, expected: dict[str, str], wrong: list[str]) -> None:
    doubt = ["?owner-not-seen"]
    assert faults(by(holder), expecting(80, **expected)) == [doubt if wrong == ["?"] else wrong]


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({}, []),
        ({"process": "nginx"}, ["?owner-not-seen"]),
        ({"user": "www-data"}, []),  # who made the socket is seen
        ({"user": "root"}, ["?owner-not-seen"]),  # it may have been made by somebody else than who has it now
        ({"unit": "web.service"}, []),  # by the cgroup that the socket was made in
        ({"unit": "db.service"}, ["?owner-not-seen"]),
        ({"container": "web"}, ["?owner-not-seen"]),
    ],
)
def test_a_holder_that_cannot_be_seen_is_unknown(expected: dict[str, str], wrong: list[str]) -> None:
    unseen = Process(0, user="www-data", uid=33, service="web.service", confirmed=True)
    seen = scene(listener(pids=None, inode=9, uid=33, user="www-data"), hidden={9: unseen})
    assert faults(seen, expecting(80, **expected)) == [wrong]


def test_a_socket_without_a_process_is_unknown_unless_it_is_the_kernels() -> None:
    assert faults(scene(listener(pids=())), expecting(80, process="nginx")) == [["?owner-not-seen"]]
    kernels = scene(udp(port=8472, pids=()), kernel_owned={("udp", 8472): "VXLAN interface vx0"})
    (finding,) = findings(kernels, expecting(8472, protocol="udp", process="nginx"))
    assert (
        finding.faults[0].message == "the kernel's VXLAN interface vx0 listens on every IPv4 address; declared is nginx"
    )


# Where it listens: the declared hosts, the sockets' addresses, and what is wrong
@pytest.mark.parametrize(
    ("hosts", "addresses", "wrong"),
    [
        ([None], ["127.0.0.1"], []),
        ([None], ["0.0.0.0", "192.0.2.7"], []),
        (["127.0.0.1"], ["127.0.0.1"], []),
        (["127.0.0.1"], ["::ffff:127.0.0.1"], []),
        (["127.0.0.1"], ["0.0.0.0"], ["also-on"]),
        (["127.0.0.1"], ["::"], ["also-on"]),
        (["127.0.0.1"], ["127.0.0.1", "::1"], ["also-on"]),
        (["127.0.0.1"], ["::1"], ["also-on"]),  # where it does listen is told once
        (["127.0.0.1"], [], ["not-listening"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "::1"], []),
        (["localhost"], ["127.0.0.1"], []),
        (["localhost"], ["::1"], []),
        (["localhost"], ["192.0.2.7"], ["also-on"]),
        (["eth0"], ["192.0.2.7"], []),
        (["eth0"], ["127.0.0.1"], ["also-on"]),
        (["*"], ["0.0.0.0"], []),
        (["*"], ["::"], []),
        (["*"], ["192.0.2.7"], ["elsewhere"]),
        (["0.0.0.0"], ["0.0.0.0"], []),
        (["0.0.0.0"], ["::"], ["also-on"]),
        (["0.0.0.0", "::"], ["::"], []),
        (["0.0.0.0"], ["0.0.0.0", "192.0.2.7"], []),
        (["0.0.0.0"], ["192.0.2.7"], ["elsewhere"]),
        (["::"], ["0.0.0.0"], ["also-on"]),
        (["::"], ["::", "::1"], []),
    ],
)  # fmt: skip
def test_where(hosts: list[str | None], addresses: list[str], wrong: list[str]) -> None:
    seen = scene(*(listener(address, pids=(382,), inode=number) for number, address in enumerate(addresses, 1)))
    told = faults(seen, *(expecting(80, host=host) for host in hosts))
    assert [code for codes in told for code in codes][: len(wrong) or 1] == wrong


def test_a_declared_address_that_nobody_serves_is_missed() -> None:
    told = faults(scene(listener("0.0.0.0")), expecting(80, host="0.0.0.0"), expecting(80, host="::"))
    assert told == [[], ["elsewhere"]]


def test_an_ipv6_wildcard_that_may_take_ipv4_too_is_no_proof() -> None:
    seen = scene(listener("::", v6only=None))
    assert faults(seen, expecting(80, host="0.0.0.0"), expecting(80, host="::")) == [["?not-established"], []]


def test_two_services_of_one_port_are_told_apart_by_their_addresses() -> None:
    ann, bo = process(1, "resolved"), process(2, "dnsmasq")
    seen = scene(listener("127.0.0.53", pids=(1,)), listener("127.0.0.1", pids=(2,)), processes=(ann, bo))
    one = expecting(80, "one", host="127.0.0.53", process="resolved")
    other = expecting(80, "other", host="127.0.0.1", process="dnsmasq")
    assert faults(seen, one, other) == [[], []]
    (alone,) = findings(seen, one)
    assert [fault.code for fault in alone.faults] == ["also-on"]
    assert alone.faults[0].message.startswith("dnsmasq (PID 2")
    assert alone.faults[0].message.endswith(" listens on 127.0.0.1, which no file declares")
    # unless somebody is allowed to listen there
    assert faults(seen, one, allowed=(expecting(80),)) == [[]]
    # a wildcard is whoever's it is, whatever stands before it on one address
    behind = scene(listener("0.0.0.0", pids=(1,)), listener("127.0.0.1", pids=(2,)), processes=(ann, bo))
    everywhere = expecting(80, "one", host="0.0.0.0", process="resolved")
    assert faults(behind, everywhere, other) == [[], []]
    assert faults(behind, everywhere) == [["held-by"]]


def test_nobody_has_to_listen_where_it_is_optional() -> None:
    (finding,) = findings(scene(), expecting(80, optional=True))
    assert (finding.ok, finding.status) == (True, "not-running")
    assert faults(by(NGINX), expecting(80, optional=True, process="httpd")) == [["held-by"]]
    assert faults(scene(), declared(80, "dev", kind="package")) == [[]]  # a script, which nobody has to run


def test_one_of_several_ports_will_do() -> None:
    seen = scene(listener(port=8001, pids=(382,)), processes=(NGINX,))
    (finding,) = findings(seen, expecting(8000, fallback=(8001, 8002), process="nginx"))
    assert (finding.ok, finding.found.port) == (True, 8001)
    (finding,) = findings(seen, expecting(8000, fallback=(8001, 8002), process="httpd"))
    assert (finding.status, finding.found.port) == ("differs", 8001)
    (finding,) = findings(seen, expecting(8000, fallback=(8002,)))
    assert (finding.status, finding.found.port) == ("not-listening", 8000)


def test_bound_is_not_listening() -> None:
    (finding,) = findings(scene(listener(state="BOUND")), expecting(80))
    assert finding.status == "not-listening"
    assert "has bound it without listening" in finding.faults[0].message


def test_a_udp_client_of_one_server_is_nobody_who_listens() -> None:
    connected = udp(port=53)._replace(remote_address="192.0.2.1", remote_port=53)
    assert faults(scene(connected), expecting(53, protocol="udp")) == [["not-listening"]]
    assert faults(scene(udp(port=53)), expecting(53, protocol="udp")) == [[]]


# Whose a file's port is to be
@pytest.mark.parametrize(
    ("declaration", "holder", "wrong"),
    [
        (composed(80), container(), []),
        (composed(80), process(99, "node", cwd=HERE), ["held-by"]),  # the project's, and no container
        (composed(80), container("db"), ["held-by"]),
        (composed(80), container(project="other"), ["held-by"]),
        (composed(80, private=True), container(project="other"), ["held-by"]),
        (composed(80), container()._replace(confirmed=False, unanswered="docker gave no answer"), ["?owner-not-seen"]),
        (declared(80, kind="procfile"), process(99, "node", cwd=HERE + "/api"), []),
        (declared(80, kind="procfile"), container(), []),
        (declared(80, kind="env"), process(99, "node", cwd="/srv"), ["held-by"]),
        (declared(80, kind="env"), process(99, "node", cwd=None), ["?owner-not-seen"]),
        (declared(80, kind="devcontainer"), process(99, "code", cwd="/"), []),
        (declared(80, kind="portcheck"), process(99, "node", cwd="/"), []),
    ],
)
def test_whose(declaration: Declaration, holder: Process, wrong: list[str]) -> None:
    assert faults(by(holder), declaration) == [wrong]


def test_a_project_that_could_be_anywhere_proves_nothing() -> None:
    assert faults(by(process(99, cwd="/srv")), declared(80, kind="env"), project=Project()) == [[]]


def test_the_name_of_a_private_project_is_not_told() -> None:
    (finding,) = findings(by(process(99, "node")), composed(80, compose_project="s3cret", private=True))
    assert finding.faults[0].message.endswith("declared is the container of the service web")


# Not seen is never absent
@pytest.mark.parametrize("code", ["sockets-not-visible", "processes-hidden"])
def test_a_listener_that_may_hide_is_not_absent(code: Any) -> None:
    seen = scene()
    (ports,) = [asked(seen, expecting(80))]
    hiding = ports[0]._replace(found=ports[0].found._replace(blind_spots=(BlindSpot(code, "nobody may look"),)))
    (finding,) = judge(Look(seen, Project(), [[hiding]]))
    assert (finding.ok, finding.status) == (None, "unknown")
    assert finding.faults[0].message == "Whether anybody listens on port 80 is not known: nobody may look"


def test_what_is_sent_elsewhere_may_be_answered_there() -> None:
    seen = scene()
    (ports,) = [asked(seen, expecting(80))]
    note = Note("redirected", "iptables sends them to 172.17.0.2")
    (finding,) = judge(Look(seen, Project(), [[ports[0]._replace(found=ports[0].found._replace(notes=(note,)))]]))
    assert finding.ok is None
    assert finding.faults[0].message == "Nobody listens on port 80 here; iptables sends them to 172.17.0.2"


def test_a_name_that_leads_nowhere_is_not_known() -> None:
    seen = scene()
    (ports,) = [asked(seen, expecting(80))]
    nowhere = ports[0].found._replace(blind_spots=(BlindSpot("host-not-resolved", "unknown host 'db'"),))
    (finding,) = judge(Look(seen, Project(), [[ports[0]._replace(found=nowhere, host=None)]]))
    assert (finding.ok, finding.faults[0].message) == (None, "unknown host 'db'")
