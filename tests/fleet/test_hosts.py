"""What the modules say of hosts, and what they leave there."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import FINE, Play, Played, task
from .fleet import Fleet

# Ansible's own place for temporary files, without pipelining.
ANSIBLES_OWN = {f"{home}/.ansible{rest}" for home in ("/root", "/home/ann") for rest in ("", "/tmp")}
ASKED = ["8080", "127.0.0.1:5432", "53/udp", "81"]


def verdicts(result: dict[str, Any]) -> list[str]:
    return [each["verdict"] for each in result["results"]]


@pytest.fixture(scope="module", params=[True, False], ids=["pipelining", "files"])
def asked(request: pytest.FixtureRequest, play: Play, fleet: Fleet) -> Played:
    """All hosts that can answer, with and without pipelining; nothing may be left on them."""
    before = {name: fleet.hosts[name].files() for name in FINE}
    tasks = [
        task("check", "full", targets=ASKED, fail=False),
        task("check", "failing", targets=ASKED),
        task("check", "brief", targets=ASKED, fail=False, detail="brief"),
        task("check", "nonsense", targets=["80", "70000"], fail=False),
        task("check", "mistyped", targetz=["80"]),
        task("list", "facts", targets=["8080", "5432"]),
        task(
            "preflight", "declared", ports={"web": 8080, "ü b": "81/udp", "api": {"port": 8080, "fallback": ["82-83"]}}
        ),
        task(
            "verify", "verified", ports={"web": {"port": 8080, "process": "shop"}, "none": 81}, allow=["22"], only=True
        ),
        task("preflight", "files", project="/srv/shop", fail=False),
        task("preflight", "compose", files=["/srv/compose/compose.yaml"], docker=False),
    ]
    played = play(tasks, pipelining=request.param)
    for name in FINE:
        assert fleet.hosts[name].files() - before[name] - ANSIBLES_OWN == set()
    return played


def test_every_host_has_its_own_answer(asked: Played) -> None:
    shop = ["in-use", "in-use", "in-use", "free"]
    expected = {
        "web-1": shop,
        "web-2": shop,
        "slow": shop,
        "web-3": ["free"] * 4,
        "db-1": ["free", "in-use", "free", "free"],
    }
    assert {name: verdicts(asked(name, "full")) for name in FINE} == expected
    assert asked("web-1", "full")["verdict"] == "in-use"
    assert asked("web-1", "full")["results"][0]["owners"][0]["name"] == "shop"
    assert asked("web-3", "full")["verdict"] == "free"


def test_it_fails_where_a_port_is_not_free_and_the_answer_is_there_all_the_same(asked: Played) -> None:
    message = asked.failure("web-1", "failing")
    assert "Port 8080 is in use: shop (PID " in message
    assert verdicts(asked.results["web-1", "failing"][1]) == ["in-use", "in-use", "in-use", "free"]
    assert verdicts(asked("web-3", "failing")) == ["free"] * 4


def test_a_brief_answer_says_the_same_in_a_tenth(asked: Played) -> None:
    brief, full = asked("web-1", "brief"), asked("web-1", "full")
    assert [each["message"] for each in brief["results"]] == [each["message"] for each in full["results"]]
    assert brief["results"][0]["owners"][0]["name"] == "shop"
    assert len(str(brief)) < len(str(full)) / 4


def test_a_target_that_is_no_port_fails_with_one_line_and_every_other_task_goes_on(asked: Played) -> None:
    assert "port 70000 is out of range" in asked.failure("web-1", "nonsense")
    assert "\n" not in asked.failure("web-1", "nonsense")
    assert "targetz" in asked.failure("web-1", "mistyped") or "targets" in asked.failure("web-1", "mistyped")


def test_facts(asked: Played) -> None:
    facts = asked("web-1", "facts")["ansible_facts"]["portcheck"]
    assert {(each["local_address"], each["local_port"]) for each in facts["sockets"]} == {
        ("0.0.0.0", 8080),
        ("127.0.0.1", 5432),
    }
    assert {each["name"] for each in facts["owners"]} == {"shop"}


def test_a_declaration_of_the_playbook(asked: Played) -> None:
    assert "web: Port 8080 is in use: shop" in asked.failure("web-1", "declared")
    statuses = [each["status"] for each in asked.results["web-1", "declared"][1]["results"]]
    assert statuses == ["in-use", "free", "fallback"]


def test_a_declaration_of_the_host(asked: Played) -> None:
    found = asked("web-1", "files")
    assert [(each["service"], each["status"]) for each in found["results"]] == [("web", "in-use"), ("new", "free")]
    assert "/srv/shop" in asked.failure("db-1", "files")


def test_a_compose_file_on_a_host_without_a_parser_of_yaml(asked: Played) -> None:
    assert "web: Port 8080 is in use" in asked.failure("web-1", "compose")


def test_after_the_deployment(asked: Played) -> None:
    message = asked.failure("web-1", "verified")
    assert "none: nobody listens on port 81" in message.replace("Nobody", "nobody")
    assert "Undeclared: 0.0.0.0:3000" in message
    assert {each["name"]: each["ok"] for each in asked.results["web-1", "verified"][1]["declared"]} == {
        "web": True,
        "none": False,
    }


def test_become(play: Play) -> None:
    tasks = [
        task("check", "ann", targets=["81"], fail=False),
        task("check", "root by sudo", targets=["81"], fail=False, become=True),
        task("check", "bob by sudo", targets=["81"], fail=False, become=True, become_user="bob"),
        task("check", "owner", targets=["8080"], fail=False, become=True, become_user="bob"),
    ]
    played = play(tasks, "web-1", "-u", "ann", "-e", "ansible_user=ann")
    found = [verdicts(played("web-1", name)) for name in ("ann", "root by sudo", "bob by sudo")]
    assert found == [["denied"], ["free"], ["denied"]]
    assert not played("web-1", "owner")["complete"]


def test_stop_changes_what_it_stops_and_plans_in_check_mode(play: Play) -> None:
    tasks = [
        task("stop", "plan", targets=["3000"], check_mode=True),
        task("check", "still there", targets=["3000"], fail=False),
        task("stop", "stop", targets=["3000"], settle=0.1),
        task("stop", "again", targets=["3000"]),
        task("wait", "gone", targets=["8080"], until="free", timeout=20),
        task("wait", "in vain", targets=["8080"], timeout=0.2),
        task("wait", "looked", targets=["8080"], timeout=100, check_mode=True),
        task("wait", "there", targets=["22"]),
    ]
    played = play(tasks, "web-2")
    planned = played("web-2", "plan")
    assert planned["changed"]
    assert [process["name"] for process in planned["results"][0]["plan"][0]["processes"]] == ["shop"]
    assert verdicts(played("web-2", "still there")) == ["in-use"]
    assert played("web-2", "stop")["changed"]
    assert not played("web-2", "again")["changed"]
    assert played("web-2", "gone")["outcome"] == "met"
    assert "time is up: nothing listens on port 8080" in played.failure("web-2", "in vain")
    assert played("web-2", "looked")["outcome"] == "timeout"
    assert played("web-2", "there")["seconds"] < 10
