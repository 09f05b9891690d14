"""Which of the declared servers could be started: declarations and diagnoses in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from support.declared import PROJECT, composed, container, declared, found, held, look_at, own, statuses, time_wait
from support.scenes import listener, process, scene

from portcheck.exit_codes import of_preflight
from portcheck.model import Advice, Diagnosis, Process, Scene
from portcheck.preflight.declarations import Declaration
from portcheck.preflight.judge import Finding, Project, asked, judge

EMPTY = scene()


def exit_code(findings: Iterable[Finding]) -> int:
    return of_preflight((finding.status for finding in findings), complete=True, strict=False)


def rivals(*declarations: Declaration) -> list[str | None]:
    return [finding.rival and finding.rival.service for finding in found(EMPTY, *declarations)]


def test_what_is_switched_off_or_told_twice_is_asked_once_or_not_at_all() -> None:
    web, db, off = composed(8000), composed(5432, "db"), composed(9229, "debug", enabled=False)
    assert asked([web, off, db, web]) == (web, db)


def test_free() -> None:
    (finding,) = found(EMPTY, declared(8000))
    assert (finding.status, finding.instead, finding.rival, finding.notes) == ("free", None, None, ())
    assert exit_code([finding]) == 0


def test_a_stranger_holds_it() -> None:
    (finding,) = found(held(5432), composed(5432, "db"))
    assert (finding.status, finding.diagnosis.cause) == ("in-use", "listener")
    assert exit_code([finding]) == 1


def test_the_address_is_the_declared_one() -> None:
    seen = held(5432, address="192.0.2.7")
    assert statuses(seen, declared(5432, host="127.0.0.1"), declared(5432, "x", host="192.0.2.7")) == ["free", "in-use"]
    assert statuses(seen, declared(5432), declared(5432, "x", protocol="udp")) == ["in-use", "free"]


def test_the_server_is_the_declared_one() -> None:
    """uvicorn takes 127.0.0.1 unless told otherwise."""
    seen = held(5432, address="192.0.2.7")
    assert statuses(seen, declared(5432, profile="uvicorn")) == ["free"]
    assert statuses(seen, declared(5432, profile="node")) == ["in-use"]


def test_what_could_not_be_told() -> None:
    (unknown,) = look_at(EMPTY)(declared(80))
    assert judged(unknown._replace(verdict="unknown"), of=declared(80)) == ("unknown", 3)


def judged(*diagnoses: Diagnosis, of: Declaration) -> tuple[str, int]:
    findings = judge([of], lambda _: iter(diagnoses), PROJECT)
    return findings[0].status, exit_code(findings)


# What the project itself holds


@pytest.mark.parametrize("directory", ["/home/ann/shop", "/home/ann/shop/api"])
def test_a_process_of_the_project_runs_already(directory: str) -> None:
    for holder in (own(cwd=directory), own(cwd=None, project_dir=directory)):
        (finding,) = found(held(3000, holder), declared(3000))
        assert (finding.status, finding.diagnosis.verdict, exit_code([finding])) == ("running", "in-use", 0)


@pytest.mark.parametrize("directory", ["/home/ann/shop2", "/home/ann", "/", None])
def test_a_process_of_somewhere_else_is_a_stranger(directory: str | None) -> None:
    assert statuses(held(3000, own(cwd=directory)), declared(3000)) == ["in-use"]


def test_without_a_directory_that_says_anything_every_process_is_a_stranger() -> None:
    (finding,) = found(held(3000, own()), declared(3000), project=Project())
    assert finding.status == "in-use"


def test_the_services_container_runs_already() -> None:
    (finding,) = found(held(8000, container()), composed(8000))
    assert (finding.status, finding.notes) == ("running", ())


@pytest.mark.parametrize("holder", [container("api"), container(project="other"), container("api", "other")])
def test_another_services_or_projects_container_is_a_conflict(holder: Process) -> None:
    assert statuses(held(8000, holder), composed(8000)) == ["in-use"]


def test_a_container_of_the_project_is_its_own_for_what_is_not_composed() -> None:
    devcontainer = declared(3000, None, kind="devcontainer", host="127.0.0.1")
    assert statuses(held(3000, container("any")), devcontainer) == ["running"]
    assert statuses(held(3000, container("any", "other")), devcontainer) == ["in-use"]


def test_a_containers_own_directories_say_nothing() -> None:
    """`/home/ann/shop` in a container is not this one's."""
    inside = container("web", "other")._replace(cwd="/home/ann/shop")
    assert statuses(held(3000, inside), declared(3000)) == ["in-use"]


def test_a_process_in_the_place_of_a_container_is_said() -> None:
    (finding,) = found(held(8000, own()), composed(8000))
    assert (finding.status, [note.code for note in finding.notes]) == ("in-use", ["not-its-container"])
    (finding,) = found(held(8000, process(7, cwd="/srv")), composed(8000))
    assert (finding.status, finding.notes) == ("in-use", ())


@pytest.mark.parametrize(
    ("containers", "fallback", "taken", "status"),
    [
        (1, (), (), "free"),
        (2, (), (), "too-few"),  # one host port for two containers
        (2, (8001,), (), "free"),
        (3, (8001,), (), "too-few"),
        (2, (8001, 8002), (8001,), "free"),
        (2, (8001, 8002), (8000,), "fallback"),
        (3, (8001, 8002), (8000,), "too-few"),
        (2, (8001,), (8000, 8001), "in-use"),
    ],
)
def test_each_container_takes_a_port(
    containers: int, fallback: tuple[int, ...], taken: tuple[int, ...], status: str
) -> None:
    stranger = process(7, cwd="/srv")
    sockets = (listener(port=port, pids=(7,), inode=port) for port in taken)
    (finding,) = found(scene(*sockets, processes=(stranger,)), composed(8000, fallback=fallback, containers=containers))
    assert finding.status == status


def test_scripts_and_procfiles_are_run_in_place_of_each_other() -> None:
    dev, start = (declared(3000, name, kind="package", file="package.json") for name in ("dev", "start"))
    assert statuses(scene(), dev, start, composed(3000)) == ["free"] * 3
    one, other = (
        declared(5000, name, kind="procfile", file=f"Procfile{end}") for name, end in (("a", ""), ("b", ".dev"))
    )
    assert statuses(scene(), one, other) == ["free"] * 2
    assert statuses(scene(), one, other._replace(file="Procfile")) == ["declared-twice"] * 2


def test_a_stranger_beside_the_project_is_a_conflict() -> None:
    sockets = listener("127.0.0.1", 3000, pids=(812,)), listener("192.0.2.7", 3000, pids=(7,), inode=8)
    seen = scene(*sockets, processes=(own(), process(7, "other", cwd="/srv")))
    assert statuses(seen, declared(3000)) == ["in-use"]
    assert statuses(seen, declared(3000, host="127.0.0.1")) == ["running"]


def test_a_worker_elsewhere_that_shares_the_projects_socket_is_the_projects() -> None:
    seen = scene(listener(port=3000, pids=(812, 813)), processes=(own(), own(813, cwd="/", parent_pid=812)))
    assert statuses(seen, declared(3000)) == ["running"]


def test_what_is_left_of_earlier_connections_does_not_make_it_a_strangers() -> None:
    seen = scene(listener("127.0.0.1", 3000, pids=(812,)), time_wait(3000), processes=(own(),))
    assert statuses(seen, declared(3000, profile="socketserver")) == ["running"]


def test_time_wait_alone_is_nobodys() -> None:
    assert statuses(scene(time_wait(3000)), declared(3000, profile="socketserver")) == ["in-use"]


def test_a_holder_that_cannot_be_seen_is_not_the_projects() -> None:
    hidden = listener("192.0.2.7", 3000, pids=None, inode=8)
    seen = scene(listener("127.0.0.1", 3000, pids=(812,)), hidden, processes=(own(),))
    assert statuses(seen, declared(3000)) == ["in-use"]


def test_a_refusal_without_any_socket_is_not_the_projects() -> None:
    """The kernel refuses 192.0.2.7, and nothing is seen there."""
    (diagnosis,) = look_at(held(3000, own(), "127.0.0.1"))(declared(3000))
    refused = [
        row._replace(outcome="in-use", error="EADDRINUSE") if row.bind.address == "192.0.2.7" else row
        for row in diagnosis.binds
    ]
    diagnosis = diagnosis._replace(binds=tuple(refused))
    assert judged(diagnosis, of=declared(3000)) == ("in-use", 1)


def test_what_is_bound_by_a_stranger_will_listen_soon() -> None:
    bound = listener("192.0.2.7", 3000, pids=(7,), state="BOUND", inode=8)
    seen = scene(listener("127.0.0.1", 3000, pids=(812,)), bound, processes=(own(), process(7, cwd="/srv")))
    assert statuses(seen, declared(3000)) == ["in-use"]


# Ports that are declared twice


def test_two_services_declare_one_port_though_nothing_runs() -> None:
    findings = found(EMPTY, declared(8000, "web", 1), declared(8000, "api", 2), declared(8001, "db", 3))
    assert [finding.status for finding in findings] == ["declared-twice", "declared-twice", "free"]
    assert [finding.rival and finding.rival.line for finding in findings] == [2, 1, None]
    assert exit_code(findings) == 1


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (None, "127.0.0.1", True),
        ("*", "192.0.2.7", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::", "127.0.0.1", True),  # dual-stack, where nothing more is known of the server
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("localhost", "::1", True),
        ("eth0", "192.0.2.7", True),
        ("eth0", "127.0.0.1", False),
    ],
)
def test_only_addresses_in_common_conflict(one: str | None, other: str | None, conflict: bool) -> None:
    web, api = declared(8000, "web", host=one), declared(8000, "api", host=other)
    expected = ["api", "web"] if conflict else [None, None]
    assert rivals(web, api) == expected
    assert rivals(api, web) == expected[::-1]


def test_the_kind_of_server_decides_which_addresses_it_takes() -> None:
    assert rivals(declared(8000, "web", profile="uvicorn"), declared(8000, "api", host="192.0.2.7")) == [None, None]


def test_protocols_are_apart() -> None:
    assert rivals(declared(53, "dns"), declared(53, "dns2", protocol="udp")) == [None, None]


def test_who_names_no_service_competes_with_nobody() -> None:
    assert rivals(declared(3000, None, kind="env"), declared(3000, "web")) == [None, None]


def test_one_service_in_two_files_is_one_server() -> None:
    procfile = declared(8000, "web", kind="procfile", file="Procfile")
    assert rivals(composed(8000), composed(8000, file="compose.prod.yaml"), procfile) == [None, None, None]


def test_an_editors_view_of_a_services_port_is_no_rival() -> None:
    assert rivals(composed(3000), declared(3000, "App", kind="devcontainer", host="127.0.0.1")) == [None, None]


def test_one_service_can_have_a_port_twice_in_compose() -> None:
    """For two ports of its container: the engine refuses that."""
    assert rivals(composed(8000, line=1), composed(8000, line=2, host="127.0.0.1")) == ["web", "web"]


def test_the_same_service_of_two_compose_projects_is_two_servers() -> None:
    other = composed(8000, compose_project="other", file="other/compose.yaml")
    assert rivals(composed(8000), other) == ["web", "web"]


def test_what_runs_does_not_hide_a_port_that_is_declared_twice() -> None:
    assert statuses(held(8000, container()), composed(8000), composed(8000, "api", 2)) == ["declared-twice", "in-use"]


def test_a_stranger_is_worse_than_a_rival() -> None:
    findings = found(held(8000), composed(8000), composed(8000, "api", 2))
    assert [(each.status, each.rival is not None) for each in findings] == [("in-use", True)] * 2


# Any of several ports will do


def flexible(*fallback: int) -> Declaration:
    return declared(9000, "api", fallback=fallback)


def told(finding: Finding) -> tuple[str, int | None]:
    return finding.status, finding.instead and finding.instead.port


def test_the_first_free_is_told() -> None:
    seen = scene(listener(port=9000), listener(port=9001))
    assert [told(each) for each in found(EMPTY, flexible(9001, 9002))] == [("free", None)]
    (finding,) = found(seen, flexible(9001, 9002, 9003))
    assert (told(finding), exit_code([finding])) == (("fallback", 9002), 0)
    (finding,) = found(seen, flexible(9001))
    assert (told(finding), exit_code([finding])) == (("in-use", None), 1)


def test_none_but_one_that_could_not_be_told() -> None:
    taken, other = look_at(scene(listener(port=9000)))(flexible(9001))
    assert judged(taken, other._replace(verdict="unknown"), of=flexible(9001)) == ("unknown", 3)
    assert judged(taken, other, of=flexible(9001)) == ("fallback", 0)


def test_what_somebody_else_declares_is_left_to_them() -> None:
    findings = found(EMPTY, flexible(9001, 9002), declared(9000, "web", 2), declared(9001, "db", 3))
    assert [told(each) for each in findings] == [("fallback", 9002), ("free", None), ("free", None)]
    (finding, _) = found(EMPTY, flexible(), declared(9000, "web", 2))
    assert finding.status == "declared-twice"
    (finding, *_) = found(EMPTY, flexible(9001), declared(9000, "web", 2), declared(9001, "db", 3))
    assert (finding.status, finding.rival and finding.rival.service) == ("declared-twice", "web")


def test_two_ranges_share_what_is_there() -> None:
    one, two, three = (declared(9000, name, fallback=(9001,)) for name in ("one", "two", "three"))
    findings = found(EMPTY, one, two, three)
    assert [told(each) for each in findings] == [("free", None), ("fallback", 9001), ("declared-twice", None)]


def test_it_may_run_already_on_another_of_its_ports() -> None:
    seen = scene(listener(port=9000, pids=(7,)), listener(port=9001, pids=(812,)), processes=(process(7), own()))
    assert [told(each) for each in found(seen, flexible(9001, 9002))] == [("running", 9001)]


def test_no_more_fallbacks_are_looked_at_than_needed() -> None:
    looked: list[int] = []

    def look(declaration: Declaration) -> Iterator[Diagnosis]:
        for diagnosis in look_at(held(9000))(declaration):
            looked.append(diagnosis.port)
            yield diagnosis

    judge([flexible(*range(9001, 9999))], look, PROJECT)
    assert looked == [9000, 9001]


END_IT = Advice("end it from here", ("portcheck", "stop", "5432"))


def advice_for(seen: Scene, *declarations: Declaration) -> list[list[str]]:
    """What is advised about each declaration, where whoever holds a port could be ended."""
    looks = look_at(seen)

    def look(declaration: Declaration) -> Iterator[Diagnosis]:
        return (one._replace(advice=(END_IT,) if one.owners else ()) for one in looks(declaration))

    findings = judge(declarations, look, PROJECT)
    return [[advice.text for advice in finding.advice] for finding in findings]


def test_advice_is_part_of_a_finding() -> None:
    """Two that want one port are told so first; who holds it comes after, unless that is one of the two."""
    twice = "give one of the two another port"
    assert advice_for(held(5432), composed(5432, "db")) == [[END_IT.text]]
    assert advice_for(EMPTY, composed(8000, "a"), composed(8000, "b")) == [[twice], [twice]]
    assert advice_for(held(5432), composed(5432, "a"), composed(5432, "b")) == [[twice, END_IT.text]] * 2


def test_what_is_fine_is_not_advised_about() -> None:
    assert statuses(held(8000, own()), declared(8000)) == ["running"]
    assert advice_for(held(8000, own()), declared(8000)) == [[]]
