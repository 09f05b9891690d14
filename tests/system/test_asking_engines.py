"""Engines that say something odd, or whose tools cannot be run here: what they print was recorded, the tool is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.acquaintances import process

from portcheck.identify.managers import Subject
from portcheck.model import Container, Process
from portcheck.observe import engines
from portcheck.observe.engines import ask_engines

LXC = process("nginx", 5, uid=0, container=Container("lxc", name="web"), cgroup="/lxc.payload.web/init.scope")
BOX = process("httpd", 6, uid=0, container=Container("containerd", "box1", namespace="lab"), cgroup="/lab/box1")
Tool = Callable[[str, str], None]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Makes a tool on the PATH, where it is alone: it prints something for one command line."""

    def make(command: str, printed: str) -> None:
        name, _, arguments = command.partition(" ")
        text = f"#!/bin/sh\n[ \"$*\" = '{arguments}' ] || exit 1\ncat <<'END'\n{printed}\nEND\n"
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    (tmp_path / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path))
    return make


def asked(subject: Process) -> Process:
    (told,) = ask_engines([Subject(subject, ())]).subjects
    return told.process


@pytest.mark.parametrize(("cgroup", "is_its"), [("/lxc.payload.web", True), ("/lxc.payload.db", False), (None, False)])
def test_lxc_names_its_container_by_the_first_process(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, cgroup: str | None, is_its: bool
) -> None:
    tool("lxc-info --pid --no-humanize --name=web", "4242")
    monkeypatch.setattr(engines, "_cgroup_of", {4242: cgroup}.get)
    told = asked(LXC)
    assert (told.container is not None, told.confirmed) == (is_its, is_its)
    assert told.absent == (("lxc-stop",) if is_its else ())


def test_what_lxd_has_made_is_not_lxcs(tool: Tool) -> None:
    """Its cgroups are called the same, and its tools are others."""
    tool("other", "")
    assert asked(LXC) == LXC


def test_lxc_gives_no_answer(tool: Tool) -> None:
    tool("lxc-info --name=other", "")
    told = asked(LXC)
    assert (told.container, told.confirmed) == (LXC.container, False)
    assert str(told.unanswered).startswith("lxc-info gave no answer")


def test_nerdctl_is_asked_where_it_is_there(tool: Tool) -> None:
    inspected = [{"Id": "box1", "Name": "web", "State": {"Pid": 6}}]
    tool("nerdctl --namespace=lab container inspect box1", json.dumps(inspected))
    told = asked(BOX)
    assert told.container == Container("containerd", "box1", "web", namespace="lab")
    assert (told.confirmed, told.absent) == (True, ())


@pytest.mark.parametrize(("pid", "confirmed"), [(6, True), (7, False)])
def test_ctr_is_asked_where_it_is_not(tool: Tool, pid: int, confirmed: bool) -> None:
    tool("ctr --namespace=lab tasks list", f"TASK    PID    STATUS\nbox1    {pid}      RUNNING")
    told = asked(BOX)
    assert (told.confirmed, told.container is not None) == (confirmed, confirmed)
    assert told.absent == (("nerdctl",) if confirmed else ())
