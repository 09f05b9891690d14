"""Compose files read without Compose: lines, profiles, and a plain word on what stays open."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")

from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.compose.model import MAX_EXTENDS, MAX_FILES
from portcheck.preflight.compose.read import read_compose
from portcheck.preflight.declarations import LeftUnreadError
from portcheck.preflight.files import MAX_PORTS


def read(folder: Path, text: str, *more: str, environment: dict[str, str] | None = None, **others: str) -> Reading:
    """Reads `text` as compose.yaml, with `more` overrides, beside the files `others` (`_` stands for `.`)."""
    names = ["compose.yaml", *(f"override{number}.yaml" for number in range(len(more)))]
    for name, content in zip(names, (text, *more), strict=True):
        (folder / name).write_text(dedent(content))
    for name, content in others.items():
        (folder / name.replace("_", ".")).write_text(dedent(content))
    return read_compose(tuple(folder / name for name in names), environment or {}, docker=False)


def places(reading: Reading) -> list[tuple[str, int, str | None, int]]:
    return [(Path(each.file).name, each.line, each.service, each.port) for each in reading.declarations]


def remarks(reading: Reading) -> list[tuple[str, int, str]]:
    return [(each.code, each.line, each.message) for each in reading.unresolved]


def test_every_port_has_the_line_where_it_is_written(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        x-common: &common
          ports:
            - "7001:80"
        services:
          one:
            <<: *common
          two:
            ports: ["7002:80",
              "7003-7004:83-84"]
          three:
            extends: two
            ports:
              # a comment
              - target: 80
                published: 7005
          four: *common
        """,
        """\
        services:

          two: {ports: ["7006:80/udp"]}
        """,
    )
    assert places(found) == [
        ("compose.yaml", 3, "one", 7001),
        ("compose.yaml", 8, "two", 7002),
        ("compose.yaml", 9, "two", 7003),
        ("compose.yaml", 9, "two", 7004),
        ("override0.yaml", 3, "two", 7006),
        ("compose.yaml", 8, "three", 7002),
        ("compose.yaml", 9, "three", 7003),
        ("compose.yaml", 9, "three", 7004),
        ("compose.yaml", 14, "three", 7005),
        ("compose.yaml", 3, "four", 7001),
    ]
    assert [Path(file).name for file in found.files] == ["compose.yaml", "override0.yaml"]
    assert found.unresolved == ()


def test_the_declaration_holds_what_the_file_says(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        services:
          dns: {ports: ["127.0.0.1:5300-5302:53/udp"], profiles: [net, dev]}
        """,
        environment={"COMPOSE_PROFILES": "dev"},
    )
    [port] = found.declarations
    assert (port.host, port.port, port.fallback, port.protocol) == ("127.0.0.1", 5300, (5301, 5302), "udp")
    assert (port.kind, port.service, port.compose_profiles, port.enabled) == (
        "compose",
        "dns",
        ("net", "dev"),
        True,
    )


@pytest.mark.parametrize(
    "chosen, enabled", [("", False), ("other", False), ("a,dev", True), (" dev ", True), ("*", True)]
)
def test_a_profile_switches_a_service_on(chosen: str, enabled: bool, tmp_path: Path) -> None:
    text = """\
        services:
          web: {ports: ["7001:80", "${UNSET}:81"], profiles: [dev]}
          all: {ports: ["7002:80"]}
        """
    found = read(tmp_path, text, environment={"COMPOSE_PROFILES": chosen})
    assert [each.enabled for each in found.declarations] == [enabled, True]
    assert len(found.unresolved) == enabled  # what is switched off leaves nothing open


def test_variables_come_from_the_env_file_and_the_process_wins(tmp_path: Path) -> None:
    text = 'services: {web: {ports: ["${A}:1", "${B}:2"]}}'
    found = read(tmp_path, text, environment={"A": "7001"}, _env="A=1\nB=7002\n")
    assert [each.port for each in found.declarations] == [7001, 7002]
    (tmp_path / "other").write_text("B=7003\n")
    found = read(tmp_path, text, environment={"A": "7001", "COMPOSE_ENV_FILES": "other"})
    assert [each.port for each in found.declarations] == [7001, 7003]


def test_a_variable_without_a_value_stays_open(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        services:
          web:
            ports:
              - "${PORT}:80"
              - "8000:${PORT}"
              - "${PORT:?set it}:81"
              - "${HOST}:7001:82"
        """,
    )
    assert [(each.line, each.port, each.host) for each in found.declarations] == [(7, 7001, None)]
    assert remarks(found) == [
        ("variable", 4, "PORT is not set and has no default"),
        ("variable", 5, "PORT is not set and has no default"),
        ("variable", 6, "PORT is required: set it"),
        ("variable", 7, "HOST is not set and has no default"),
    ]
    assert {each.service for each in found.unresolved} == {"web"}


def test_the_hosts_network_leaves_the_ports_open(tmp_path: Path) -> None:
    found = read(tmp_path, 'services:\n  web: {network_mode: "${M:-host}", ports: ["7001:80"], expose: [80]}\n')
    assert found.declarations == ()
    [(code, line, message)] = remarks(found)
    assert (code, line) == ("host-network", 2)
    assert "listens on this host's ports directly" in message


def test_an_sctp_port_stays_open(tmp_path: Path) -> None:
    found = read(tmp_path, 'services:\n  web: {ports: ["7001:80/sctp"]}\n')
    assert remarks(found) == [("protocol", 2, "7001/sctp is published; portcheck knows tcp and udp")]


def test_what_is_not_on_this_disk_stays_open(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        include:
          - oci://docker.io/example/app
          - {path: [there.yaml, missing.yaml]}
          - git@example.com:a/b.git
        services:
          web:
            extends: {file: gone.yaml, service: web}
            ports: ["7001:80"]
        """,
        there_yaml="services: {there: {ports: ['7002:80']}}",
    )
    assert [each.port for each in found.declarations] == [7001]
    unknown = "the ports of its services are not known"
    remote = f"is not a local file, and preflight fetches nothing: {unknown}"
    assert sorted(remarks(found)) == [
        ("extends", 7, f"extends 'gone.yaml' does not exist: {unknown}"),
        ("include", 2, f"include 'oci://docker.io/example/app' {remote}"),
        ("include", 3, f"include 'missing.yaml' does not exist: {unknown}"),
        ("include", 4, f"include 'git@example.com:a/b.git' {remote}"),
    ]


REFUSED = {
    "bad entry": ("services:\n  web:\n    ports:\n      - 80:80:80\n", 4, "'80' is no IP address"),
    "no list": ("services:\n  web:\n    ports: 80\n", 3, "a list is expected here"),
    "no service": ("services:\n  web: 1\n", 2, "a mapping (key: value) is expected here"),
    "no mapping": ("- 1\n", 1, "a mapping (key: value) is expected here"),
    "twice": ("services:\n  web: {}\n  web: {}\n", 3, "the key 'web' stands here twice"),
    "another format": (
        "apiVersion: v1\nkind: Pod\n",
        1,
        "not a Compose file: it has no section 'apiVersion'",
    ),
    "version 1": ("name: x\nweb:\n  ports: ['80:80']\n", 2, "not a Compose file: it has no section 'web'"),
    "bad template": ("services:\n  web:\n    ports: ['${!}:80']\n", 3, "'${' without the name of a variable"),
    "extends nobody": ("services:\n  web:\n    extends: no\n", 3, "extends the service 'no', which"),
    "extends nothing": (
        "services:\n  web:\n    extends: {file: compose.yaml}\n",
        3,
        "extends needs a service",
    ),
    "extends itself": ("services:\n  web:\n    extends: web\n", 2, "'web' extends itself"),
    "extends in a circle": (
        "services:\n  a:\n    extends: b\n  b:\n    extends: a\n",
        2,
        "'a' extends itself",
    ),
    "include nothing": ("include:\n  - {env_file: x}\n", 2, "include needs a path"),
    "include no text": ("include:\n  - [[x]]\n", 2, "a single value is expected here"),
}


@pytest.mark.parametrize("text, line, cause", REFUSED.values(), ids=REFUSED)
def test_refuses_with_file_and_line(text: str, line: int, cause: str, tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        read(tmp_path, text)
    assert caught.value.line == line
    assert caught.value.cause.startswith(f"{tmp_path / 'compose.yaml'}:{line}: {cause}")


def test_files_that_lead_to_each_other_end(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="includes; do they include each other"):
        read(tmp_path, "include: [compose.yaml]\n")
    twice = "include: [b.yaml, b.yaml]"
    with pytest.raises(PreflightError, match=f"more than {MAX_FILES} includes"):
        read(tmp_path, twice, b_yaml="include: [c.yaml, c.yaml]", c_yaml="include: [b.yaml, b.yaml]")
    with pytest.raises(PreflightError, match="'web' extends itself"):
        read(
            tmp_path,
            "services: {web: {extends: {file: b.yaml, service: web}}}",
            b_yaml="services: {web: {extends: {file: compose.yaml, service: web}}}",
        )


def test_many_files_and_long_chains_are_refused(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"f{number}.yaml").write_text("services: {a: {ports: ['7001:80']}}")
    services = "\n".join(
        f"  s{number}: {{extends: {{file: f{number}.yaml, service: a}}}}" for number in range(MAX_FILES + 1)
    )
    with pytest.raises(PreflightError, match=f"more than {MAX_FILES} files"):
        read(tmp_path, f"services:\n{services}\n")
    chain = "\n".join(f"  s{number}: {{extends: s{number + 1}}}" for number in range(MAX_EXTENDS + 2))
    with pytest.raises(PreflightError, match=f"more than {MAX_EXTENDS} others in a chain"):
        read(tmp_path, f"services:\n{chain}\n")


def test_one_base_serves_many_services(tmp_path: Path) -> None:
    """A common file is read once, however many services extend it."""
    services = "\n".join(f"  s{number}: {{extends: {{file: base.yaml, service: a}}}}" for number in range(2_000))
    found = read(tmp_path, f"services:\n{services}\n", base_yaml="services: {a: {ports: ['7001:80']}}")
    assert len(found.declarations) == 2_000
    assert {(Path(each.file).name, each.line) for each in found.declarations} == {("base.yaml", 1)}


def test_more_ports_than_there_are_is_refused(tmp_path: Path) -> None:
    every = "services:\n  web:\n    ports:\n" + '      - "10000-20000:10000-20000/udp"\n'
    assert len(read(tmp_path, every).declarations) == 10_001
    with pytest.raises(LeftUnreadError, match=f"compose.yaml:5: more than {MAX_PORTS:,} ports up to here"):
        read(tmp_path, every + '      - "1-65535:1"\n')


def test_a_file_without_services_declares_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "volumes: {}\n").declarations == ()
    assert read(tmp_path, "services:\n").declarations == ()
    assert read(tmp_path, "").declarations == ()
    assert read(tmp_path, "services: {web: , api: {ports: }}\n").declarations == ()
