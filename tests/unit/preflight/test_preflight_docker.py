"""`docker compose config` as a program that may be missing, broken or slow; played by small shell scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")

from support.patience import wait_for

from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.compose import docker_cli
from portcheck.preflight.compose.read import read_compose
from portcheck.preflight.files import around

TEXT = """\
services:
  web:
    ports:
      - "${UNSET}:79"
      - "7001:80"
  gone: {profiles: [old], ports: ["7002:80"]}
include: [oci://example.invalid/x]
"""


def docker_in(folder: Path, script: str | bytes) -> str:
    """A PATH on which the script is docker."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker"
    program.write_bytes(script if isinstance(script, bytes) else f"#!/bin/sh\n{script}\n".encode())
    program.chmod(0o755)
    return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"


def project(folder: Path, text: str = TEXT, **others: str) -> Path:
    """Its compose.yaml, beside the files `others` (`_` stands for `.`)."""
    (folder / "shop").mkdir(exist_ok=True)
    for name, content in {"compose_yaml": text, **others}.items():
        (folder / "shop" / name.replace("_", ".", 1)).write_text(content)
    return folder / "shop" / "compose.yaml"


def read(folder: Path, script: str, text: str = TEXT, **others: str) -> Reading:
    return read_compose((project(folder, text, **others),), {"PATH": docker_in(folder / "bin", script)})


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


def test_it_is_asked_for_json_of_every_profile_from_elsewhere_and_offline(tmp_path: Path) -> None:
    log = tmp_path / "log"
    read(
        tmp_path,
        f'echo "$PWD" "$COMPOSE_EXPERIMENTAL_GIT_REMOTE" "$COMPOSE_EXPERIMENTAL_OCI_REMOTE" "$@" >"{log}"',
    )
    folder = tmp_path / "shop"
    files = f"--project-directory {folder} --file {folder / 'compose.yaml'}"
    assert log.read_text() == f"/ false false compose {files} --profile * config --format json\n"


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
    # what it says quotes values of the environment
    assert message(found) == "docker compose config failed, read without it: it refuses the files; run it to see why"


@pytest.mark.parametrize("script", ["echo", "echo []", "echo '{}'", "echo '{\"services\": 7}'", "printf '\\377'"])
def test_an_answer_that_is_no_answer_is_said(script: str, tmp_path: Path) -> None:
    found = read(tmp_path, script)
    assert message(found).endswith("its answer is not the JSON that was asked for")
    assert [each.port for each in found.declarations] == [7001, 7002]


def test_it_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_cli, "TIMEOUT", 0.2)
    found = read(tmp_path, "exec sleep 600")
    assert "it did not answer within 0.2 s" in message(found)


def test_a_program_that_cannot_run_is_said(tmp_path: Path) -> None:
    path = docker_in(tmp_path / "bin", b"\x7fELF")
    found = read_compose((project(tmp_path),), {"PATH": path})
    assert message(found).endswith("it cannot be run: Exec format error")


def test_what_is_hostile_is_not_handed_on(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(PreflightError):
        read(tmp_path, f'echo >"{touched}"', "a: &a [*a]\n")
    assert not touched.exists()


OUTSIDE = {
    "include": ("include: [../x.yaml]", 1),
    "include of a link": ("include: [link.yaml]", 1),
    "include's env_file": ("include: [{path: in.yaml, env_file: ../x.env}]", 1),
    "include's directory": ("include: [{path: in.yaml, project_directory: ..}]", 1),
    "extends": ("services: {web: {extends: {file: ../x.yaml, service: web}}}", 1),
    "env_file": ("services: {web: {image: x, env_file: /etc/passwd}}", 1),
    "env_files": ("services: {web: {image: x, env_file: [in.yaml, {path: '${X:-../x.env}'}]}}", 1),
    "label_file": ("services: {web: {image: x, label_file: [../x.env]}}", 1),
    "what git keeps": ("services: {web: {image: x, env_file: .git/config}}", 1),
}


@pytest.mark.parametrize("text, line", OUTSIDE.values(), ids=OUTSIDE)
def test_what_leads_outside_is_told_and_not_shown_to_it(text: str, line: int, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for name in ("x.yaml", "x.env", ".env"):
        (tmp_path / name).write_text("services: {web: {image: x}}" if name == "x.yaml" else "A=1")
    file = project(tmp_path, text, in_yaml="services: {}")
    (file.parent / "link.yaml").symlink_to(tmp_path / "x.yaml")
    environment = {"PATH": docker_in(tmp_path / "bin", f'echo >"{touched}"')}
    found = read_compose((file,), environment)
    assert [(each.code, each.line) for each in found.unresolved] == [("outside", line)]
    assert not touched.exists()
    allowed = read_compose((file,), environment, around(file)._replace(everywhere=True))
    assert codes(allowed) == ["compose"]  # which was asked, and has said nothing
    assert touched.exists()


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CONFIG", "COMPOSE_ENV_FILES", "COMPOSE_ANYTHING"])
def test_the_env_file_of_a_project_does_not_steer_it(name: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    found = read(tmp_path, f'echo >"{touched}"', _env=f"{name}=x\n")
    assert [each.port for each in found.declarations] == [7001, 7002]
    assert not touched.exists()
    read(tmp_path, f'echo >"{touched}"', _env="COMPOSE_PROJECT_NAME=x\nPORT=1\n")
    assert touched.exists()


def test_a_docker_of_the_project_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched = tmp_path / "touched"
    file = project(tmp_path)
    inside = docker_in(file.parent, f'echo >"{touched}"').partition(os.pathsep)[0]
    (tmp_path / "link").symlink_to(file.parent)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").symlink_to(file.parent / "docker")
    monkeypatch.chdir(file.parent)
    for path in (inside, ".", "", "../shop", str(tmp_path / "link"), str(tmp_path / "bin")):
        assert codes(read_compose((file,), {"PATH": path})) == ["include", "variable"]
    assert not touched.exists()


def test_its_answer_is_bounded(tmp_path: Path) -> None:
    found = read(tmp_path, "head -c 5000000 /dev/zero")
    assert "it writes more than is read" in message(found)


def test_an_answer_without_an_end_is_not_heard_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_cli, "TIMEOUT", 0.2)
    assert "it did not answer within 0.2 s" in message(read(tmp_path, "exec yes"))


def test_what_it_leaves_running_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_cli, "TIMEOUT", 0.5)
    left = tmp_path / "left"
    found = read(tmp_path, f'sleep 600 & echo $! >"{left}"')
    assert "did not answer" in message(found)
    status = Path("/proc", left.read_text().strip(), "stat")
    wait_for(lambda: not status.exists() or status.read_text().split()[2] == "Z", "it ends")


def test_a_port_that_only_compose_lets_pass_is_refused_with_the_services_line(tmp_path: Path) -> None:
    with pytest.raises(
        PreflightError, match=r"compose\.yaml:2: docker compose config publishes what is no port of 'web'"
    ):
        read(tmp_path, answer({"web": {"ports": [{"target": 80, "published": "abc"}]}}))


def test_its_answer_counts_where_our_reading_fails(tmp_path: Path) -> None:
    environment = {"PATH": docker_in(tmp_path / "bin", answer({"web": WEB}))}
    file = project(tmp_path, "services:\n  web: {ports: [x]}\n")
    found = read_compose((file,), environment)
    assert [(each.port, each.line) for each in found.declarations] == [(7001, 2), (7009, 2)]
    # where nobody can tell what it would read it is asked only if it may read anything
    file = project(tmp_path, "services:\n  web: {extends: {file: compose.yaml, service: no}}\n")
    with pytest.raises(PreflightError, match="extends the service 'no'"):
        read_compose((file,), environment)
    found = read_compose((file,), environment, around(file)._replace(everywhere=True))
    assert [(each.port, each.line) for each in found.declarations] == [(7001, 1), (7009, 1)]


def test_the_hosts_network_is_seen_in_its_answer(tmp_path: Path) -> None:
    found = read(tmp_path, answer({"web": {**WEB, "network_mode": "host"}, "gone": {}}))
    assert found.declarations == ()
    assert codes(found) == ["host-network", "variable"]
