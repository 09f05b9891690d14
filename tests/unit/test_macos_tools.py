"""What lsof and launchctl print, as recorded texts (fixtures/macos/README.md tells where they are from)."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scenes import endpoint, listener, process, scene

from portcheck.identify.launchd import Job, Known, read_jobs, read_sockets, recognised
from portcheck.model import PortRange, Process, Scene, Socket, SocketTable
from portcheck.observe.macos import launchd
from portcheck.observe.portable import lsof
from portcheck.observe.portable.sockets import MACOS
from portcheck.observe.subprocesses import Answer, NoAnswerError

FIXTURES = Path(__file__).parent / "fixtures" / "macos"
EVERY_PORT = [PortRange(1, 65535)]


def recorded(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def places(found: tuple[Socket, ...]) -> list[tuple[object, ...]]:
    return [(one.protocol, one.family, one.local_address, one.local_port, one.state, one.pids) for one in found]


# lsof -F


def test_lsof_on_linux_shows_a_shared_socket_once_with_all_its_processes() -> None:
    found = lsof.read_fields(recorded("lsof-linux.txt"), EVERY_PORT, MACOS)
    assert [(one.local_address, one.state) for one in found] == [
        ("127.0.0.1", "LISTEN"),
        ("127.0.0.1", "ESTABLISHED"),
        ("127.0.0.1", "ESTABLISHED"),
        ("::", "LISTEN"),
        ("0.0.0.0", None),
    ]
    assert {(one.pids, one.user, one.uid) for one in found} == {((6174, 6176), "root", 0)}


def test_lsof_as_on_macos() -> None:
    found = lsof.read_fields(recorded("lsof-macos.txt"), EVERY_PORT, MACOS)
    assert places(found) == [
        ("tcp", "ipv4", "0.0.0.0", 7000, "LISTEN", (663,)),
        ("tcp", "ipv6", "::", 7000, "LISTEN", (663,)),
        ("tcp", "ipv4", "0.0.0.0", 5000, "LISTEN", (663,)),
        ("tcp", "ipv6", "::1", 3000, "LISTEN", (812,)),
        ("tcp", "ipv6", "::1", 3000, "ESTABLISHED", (812,)),
        ("tcp", "ipv6", "fe80::1", 8021, "LISTEN", (812,)),
        ("tcp", "ipv4", "127.0.0.1", 4444, "BOUND", (812,)),
        ("udp", "ipv4", "0.0.0.0", 5353, None, (91,)),
    ]
    assert [(one.user, one.uid) for one in found[-2:]] == [("ann", 501), ("_mdnsresponder", 65)]
    assert (found[4].remote_address, found[4].remote_port) == ("::1", 51432)


def test_only_the_local_port_counts() -> None:
    assert lsof.read_fields(recorded("lsof-macos.txt"), [PortRange(51432, 51432)], MACOS) == ()


FIELDS = st.sampled_from(["p1", "f3", "tIPv4", "PTCP", "n*:80", "n[::1]:80->", "TST=LISTEN", "u0", "n", "p"])


@given(st.text() | st.lists(FIELDS).map("\n".join))
def test_any_text_is_read(text: str) -> None:
    assert all(one.pids for one in lsof.read_fields(text, EVERY_PORT, MACOS))


def on_macos(*sockets: Socket, **fields: Any) -> Scene:
    return scene(*sockets, platform="macos", uid=501, **fields)


def test_lsof_adds_what_psutil_did_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsof, "is_there", lambda _: True)
    asked: list[Any] = []

    def answer(argv: Any, patience: object) -> Answer:
        asked.append(argv)
        return Answer(False, recorded("lsof-macos.txt"), "")

    monkeypatch.setattr(lsof, "ask", answer)
    found = lsof.with_sockets(on_macos(), endpoint(5000), MACOS)
    assert found is not None
    assert places(found.tables["tcp"].sockets) == [("tcp", "ipv4", "0.0.0.0", 5000, "LISTEN", (663,))]
    assert asked == [("lsof", "-nP", "-iTCP:5000", "-FpuLftPnT")]
    seen = on_macos(listener("0.0.0.0", 5000))
    assert lsof.with_sockets(seen, endpoint(5000), MACOS) is None, "nothing that was not known"


@pytest.mark.parametrize("there", [True, False])
def test_without_an_answer_of_lsof_nothing_is_added(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: object, patience: object) -> Answer:
        raise NoAnswerError("did not answer within 3 s")

    monkeypatch.setattr(lsof, "is_there", lambda _: there)
    monkeypatch.setattr(lsof, "ask", refuse)
    assert lsof.with_sockets(on_macos(), endpoint(5000), MACOS) is None


# launchd


def test_running_jobs_by_pid() -> None:
    assert read_jobs(recorded("launchctl-list.txt"), "gui/501") == {
        297: Job("com.apple.Finder", "gui/501/com.apple.Finder"),
        4021: Job("homebrew.mxcl.nginx", "gui/501/homebrew.mxcl.nginx"),
        512: Job("com.example.api", "gui/501/com.example.api"),
    }


def test_running_jobs_of_another_domain() -> None:
    assert read_jobs(recorded("launchctl-print-system.txt"), "system") == {
        121: Job("org.apache.httpd", "system/org.apache.httpd"),
        340: Job("com.example.daemon", "system/com.example.daemon"),
    }


@given(st.text())
def test_any_listing_is_read(text: str) -> None:
    assert all(pid > 0 and job.label for pid, job in read_jobs(text, "system").items())


def test_the_sockets_of_a_property_list() -> None:
    plist = plistlib.loads((FIXTURES / "ssh.plist").read_bytes())
    assert read_sockets(plist) == ("com.openssh.sshd", [("tcp", "ssh"), ("udp", "2200")])


@pytest.mark.parametrize("plist", [{}, {"Label": "a"}, {"Label": "a", "Sockets": []}, {"Sockets": {"a": {}}}])
def test_a_property_list_without_sockets(plist: dict[str, Any]) -> None:
    assert read_sockets(plist)[1] == []


APACHE = Known({121: Job("org.apache.httpd", "system/org.apache.httpd")})


def test_a_job_and_its_worker() -> None:
    main = Process(121, "httpd", parent_pid=1)
    worker = Process(130, "httpd", parent_pid=121)
    holders = {121: main, 130: worker}
    for one in (main, worker):
        found = recognised(one, holders, (listener(port=80),), APACHE)
        assert (found.service, found.service_manager) == ("org.apache.httpd", "launchd")
        assert (found.supervised, found.confirmed) == ("system/org.apache.httpd", True)


def test_another_claim_of_a_job_stays_unconfirmed() -> None:
    main = Process(121, "httpd", parent_pid=1, claim="pm2's web", confirmed=False)
    found = recognised(main, {121: main}, (listener(port=80),), APACHE)
    assert (found.service, found.confirmed) == ("org.apache.httpd", False)


def test_what_a_job_merely_started_is_not_that_job() -> None:
    shell = Process(700, "node", parent_pid=121)
    assert recognised(shell, {700: shell}, (listener(),), APACHE) == shell


def test_launchd_that_listens_for_a_job() -> None:
    launchd_process = process(1, "launchd", parent_pid=None, role="service manager")
    job = Job("com.openssh.sshd", "system/com.openssh.sshd")
    found = recognised(launchd_process, {1: launchd_process}, (listener(port=22),), Known(listening={("tcp", 22): job}))
    assert (found.activation, found.supervised) == ("com.openssh.sshd", "system/com.openssh.sshd")
    assert found.confirmed is None, "a property list says so, launchd has not been asked"
    assert (
        recognised(launchd_process, {1: launchd_process}, (listener(port=23),), Known(listening={("tcp", 22): job}))
        == launchd_process
    )


@pytest.mark.parametrize(("port", "service"), [(5000, "AirPlay Receiver"), (7000, "AirPlay Receiver"), (5001, None)])
def test_airplay(port: int, service: str | None) -> None:
    center = Process(663, "ControlCenter", parent_pid=1)
    found = recognised(center, {663: center}, (listener(port=port),), Known())
    assert (found.service, found.confirmed) == (service, None)


def test_only_children_of_launchd_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def answer(argv: Any, patience: object) -> Answer:
        asked.append(argv)
        return Answer(True, recorded("launchctl-print-system.txt" if "print" in argv else "launchctl-list.txt"), "")

    monkeypatch.setattr(launchd, "ask", answer)
    monkeypatch.setattr("os.getuid", lambda: 501)
    in_terminal = process(4021, "nginx", uid=501, parent_pid=900)
    by_launchd = in_terminal._replace(parent_pid=1)
    held = listener(port=80, pids=(4021,), uid=None, user=None)
    assert launchd.recognised(on_macos(held, processes=(in_terminal,))).processes[4021].service is None
    assert asked == []
    found = launchd.recognised(on_macos(held, processes=(by_launchd,)))
    assert found.processes[4021].supervised == "gui/501/homebrew.mxcl.nginx"
    assert asked == [("launchctl", "print", "system"), ("launchctl", "list")]
    assert [(one.uid, one.user) for one in found.tables["tcp"].sockets] == [(501, "root")]


def test_a_silent_launchctl_is_a_blind_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: object, patience: object) -> Answer:
        raise NoAnswerError("cannot be run: No such file or directory")

    monkeypatch.setattr(launchd, "ask", refuse)
    found = launchd.recognised(on_macos(listener(), processes=(process(),)))
    assert [spot.code for spot in found.blind_spots] == ["service-manager-no-answer"]


def test_the_jobs_for_which_launchd_listens_are_in_their_property_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh.plist").write_bytes((FIXTURES / "ssh.plist").read_bytes())
    (tmp_path / "broken.plist").write_text("no property list", encoding="utf-8")
    (tmp_path / "other.txt").write_text("", encoding="utf-8")
    monkeypatch.setattr(launchd, "DAEMONS", (str(tmp_path), "/no/such/folder"))
    monkeypatch.setattr(launchd, "AGENTS", ())
    first = process(1, "launchd", role="service manager", parent_pid=None)
    held = listener(port=22, pids=(1,))
    found = launchd.recognised(on_macos(held, processes=(first,)))
    assert found.processes[1].activation == "com.openssh.sshd"
    assert isinstance(found.tables["tcp"], SocketTable)
