"""`docker compose config` as a program that may be missing, broken or slow; played by small shell scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")

from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.compose import docker_cli
from portcheck.preflight.compose.read import read_compose

TEXT = """\
services:
  web:
    ports:
      - "${UNSET}:79"
      - "7001:80"
  gone: {profiles: [old], ports: ["7002:80"]}
include: [oci://example.invalid/x]
"""


def read(folder: Path, script: str) -> Reading:
    (folder / "compose.yaml").write_text(TEXT)
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return read_compose((folder / "compose.yaml",), {"PATH": path})


def codes(reading: Reading) -> list[str]:
    return sorted(each.code for each in reading.unresolved)


def message(reading: Reading) -> str:
    [remark] = [each for each in reading.unresolved if each.code == "compose"]
    return remark.message


def answer(services: object) -> str:
    return f"cat <<'END'\n{json.dumps({'services': services})}\nEND"


WEB = {"ports": [{"target": 80, "published": "7001", "protocol": "tcp"}, {"target": 1, "published": "7009"}]}


def test_its_answer_counts_and_the_lines_are_found(tmp_path: Path) -> None:
    found = read(tmp_path, answer({"web": WEB, "there": {"ports": [{"target": 1, "published": "7010-7011"}]}}))
    assert [(each.service, each.port, each.line, each.fallback) for each in found.declarations] == [
        ("web", 7001, 5, ()),
        ("web", 7009, 2, ()),
        ("there", 7010, 1, (7011,)),
        ("gone", 7002, 6, ()),  # of a profile that an old Compose leaves out
    ]
    assert codes(found) == ["variable"]  # Compose settles the include


def test_it_is_asked_for_json_of_every_profile_in_the_files_directory_and_offline(tmp_path: Path) -> None:
    log = tmp_path / "log"
    read(
        tmp_path,
        f'echo "$PWD" "$COMPOSE_EXPERIMENTAL_GIT_REMOTE" "$COMPOSE_EXPERIMENTAL_OCI_REMOTE" "$@" >"{log}"',
    )
    file = tmp_path / "compose.yaml"
    expected = f"{tmp_path} false false compose --file {file} --profile * config --format json\n"
    assert log.read_text() == expected


def test_without_docker_the_files_are_read_alone(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(TEXT)
    found = read_compose((tmp_path / "compose.yaml",), {"PATH": str(tmp_path)})
    assert [each.port for each in found.declarations] == [7001, 7002]
    assert codes(found) == ["include", "variable"]


def test_docker_without_its_compose_plugin_is_no_failure(tmp_path: Path) -> None:
    found = read(tmp_path, 'echo "unknown shorthand flag" >&2; exit 125')
    assert codes(found) == ["include", "variable"]


def test_its_failure_is_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[ "$2" = version ] || { echo "warning" >&2; printf "no such\\033[0m image\\n" >&2; exit 15; }',
    )
    assert codes(found) == ["compose", "include", "variable"]
    assert message(found) == "docker compose config failed, read without it: no such\x1b[0m image"
    silent = read(tmp_path, '[ "$2" = version ] || exit 15')
    assert message(silent) == "docker compose config failed, read without it: it ended with status 15"


@pytest.mark.parametrize("script", ["echo", "echo []", "echo '{}'", "echo '{\"services\": 7}'", "printf '\\377'"])
def test_an_answer_that_is_no_answer_is_said(script: str, tmp_path: Path) -> None:
    found = read(tmp_path, script)
    assert message(found).endswith("its answer is not the JSON that was asked for")
    assert [each.port for each in found.declarations] == [7001, 7002]


def test_it_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_cli, "TIMEOUT", 0.2)
    found = read(tmp_path, "exec sleep 600")
    assert message(found).endswith("no answer within 0 s")


def test_a_program_that_cannot_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(TEXT)
    program = tmp_path / "docker"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    found = read_compose((tmp_path / "compose.yaml",), {"PATH": str(tmp_path)})
    assert message(found).endswith("it cannot be run: Exec format error")


def test_what_is_hostile_is_not_handed_on(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "compose.yaml").write_text("a: &a [*a]\n")
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho >"{touched}"\n')
    program.chmod(0o755)
    with pytest.raises(PreflightError):
        read_compose((tmp_path / "compose.yaml",), {"PATH": str(tmp_path)})
    assert not touched.exists()


def test_a_port_that_only_compose_lets_pass_is_refused_with_the_services_line(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"compose\.yaml:2: 'abc' is no host port"):
        read(tmp_path, answer({"web": {"ports": [{"target": 80, "published": "abc"}]}}))


def test_its_answer_counts_where_our_reading_fails(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web: {extends: {file: compose.yaml, service: no}}\n")
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{answer({'web': WEB})}\n")
    program.chmod(0o755)
    found = read_compose((tmp_path / "compose.yaml",), {"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"})
    assert [(each.port, each.line) for each in found.declarations] == [(7001, 1), (7009, 1)]


def test_the_hosts_network_is_seen_in_its_answer(tmp_path: Path) -> None:
    found = read(tmp_path, answer({"web": {**WEB, "network_mode": "host"}, "gone": {}}))
    assert found.declarations == ()
    assert codes(found) == ["host-network", "variable"]
