"""What files alone can tell, with nobody asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from portcheck.preflight.declarations import Declaration
from portcheck.preflight.judge import Finding, Project, judge
from portcheck.preflight.unasked import on_an_empty_machine, unasked
from portcheck.profiles import PROFILES, server_for

ROOT = Path(__file__).parents[3]
# Every socket, program and name service would be an event.
WATCHED = """
import sys
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.posix_spawn", "os.fork", "os.exec", "os.system")):
        raise AssertionError(event)
sys.addaudithook(watch)
from portcheck.__main__ import main
main()
"""


def declared(port: int, service: str, host: str | None = None, **more: object) -> Declaration:
    return Declaration(port, "tcp", host, "Procfile", port, "procfile", service, **more)  # type: ignore[arg-type]


def statuses(*declarations: Declaration, profile: str | None = None) -> list[str]:
    return [finding.status for finding in judged(*declarations, profile=profile)]


def judged(*declarations: Declaration, profile: str | None = None) -> list[Finding]:
    server = server_for(profile)
    findings = judge(declarations, lambda each: on_an_empty_machine(each, server), Project())
    return [*map(unasked, findings)]


@pytest.mark.parametrize(
    ("one", "other", "twice"),
    [
        (None, None, True),
        (None, "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "[::1]", False),
        ("127.0.0.1", "192.0.2.7", False),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::", True),
        ("0.0.0.0", "::1", False),
        ("shop.example", "shop.example", True),
        ("shop.example", "*", True),
        ("shop.example", "mail.example", False),
    ],
)
def test_two_services_on_one_port(one: str | None, other: str | None, twice: bool) -> None:
    expected = "declared-twice" if twice else "not-asked"
    assert statuses(declared(3000, "web", one), declared(3000, "api", other)) == [expected, expected]


def test_a_fallback_that_nobody_else_declares_will_do() -> None:
    web, api, db = declared(3000, "web"), declared(3000, "api", fallback=(3001,)), declared(3001, "db")
    assert statuses(web, api) == ["not-asked", "not-asked"]
    assert statuses(web, api, db) == ["not-asked", "declared-twice", "not-asked"]


def test_where_a_server_binds_is_known_without_asking() -> None:
    on_localhost = next(name for name, server in PROFILES.items() if server.localhost)
    elsewhere, usual = declared(3000, "web", "192.0.2.7"), declared(3000, "api")
    assert statuses(elsewhere, usual) == ["declared-twice"] * 2
    assert statuses(elsewhere, usual, profile=on_localhost) == ["not-asked"] * 2


def test_nothing_is_called_free() -> None:
    (finding,) = judged(declared(3000, "web"))
    assert (finding.diagnosis.verdict, finding.diagnosis.complete) == ("unknown", False)
    assert [spot.code for spot in finding.diagnosis.blind_spots] == ["not-asked"]
    assert "cannot be told: this machine was not asked" in finding.diagnosis.message


@pytest.mark.parametrize("format", ["text", "json", "github", "junit"])
@pytest.mark.parametrize(("services", "code"), [(("web",), 0), (("web", "api"), 1)])
def test_nobody_is_asked(services: tuple[str, ...], code: int, format: str, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("".join(f"{name}: gunicorn -b :3000 x\n" for name in services))
    argv = [sys.executable, "-c", WATCHED, "preflight", "--static", "--strict", "--format", format]
    done = subprocess.run(
        argv, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (code, ""), done
    if format == "json":
        document = json.loads(done.stdout)
        assert document["complete"] is False
        assert {result["verdict"] for result in document["results"]} == {"unknown"}
    if format == "junit" and code == 0:
        assert 'skipped="1"' in done.stdout


def test_what_a_file_leaves_open_counts_with_strict(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: gunicorn -b :3000 x\napi: gunicorn -b :$NOWHERE x\n")
    codes = [
        subprocess.run(
            [sys.executable, "-m", "portcheck", "preflight", "--static", "-q", *strict],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=60,
        ).returncode
        for strict in ((), ("--strict",))
    ]  # fmt: skip
    assert codes == [0, 3]
