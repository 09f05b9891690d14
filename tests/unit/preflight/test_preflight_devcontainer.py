"""`devcontainer.json`: JSON with comments, and the ports in it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyjson5", reason="pyjson5 is not installed (portcheck[preflight])")

from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.devcontainer import read_devcontainer


def read(folder: Path, text: str) -> Reading:
    path = folder / "devcontainer.json"
    path.write_text(dedent(text))
    return read_devcontainer(path)


def test_ports_labels_and_lines(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        // "forwardPorts": [1]
        {
          /* of several
             lines: "appPort": 2 */
          "name": "a // b",
          "customizations": {"forwardPorts": [3]},
          "forwardPorts": [3000, // web
            "localhost:3001",
            "3002"],
          "appPort": [ 8000,
            "8001:80", "0.0.0.0:8002-8003:1/udp",
            "9000",
          ],
          "portsAttributes": {
            "3000": {"label": "web", "requireLocalPort": true},
            "3001-3005": {"label": "more"},
            "80": {"label": "published"},
            "db:1": 7, "x": {}
          },
        }
        """,
    )
    rows = [
        (each.line, each.host, each.port, each.fallback, each.protocol, each.service) for each in found.declarations
    ]
    assert rows == [
        (7, "127.0.0.1", 3000, (), "tcp", "web"),
        (8, "127.0.0.1", 3001, (), "tcp", "more"),
        (9, "127.0.0.1", 3002, (), "tcp", "more"),
        (10, "127.0.0.1", 8000, (), "tcp", None),
        (11, None, 8001, (), "tcp", "published"),
        (11, "0.0.0.0", 8002, (8003,), "udp", None),
    ]
    other = "the editor takes another local port if need be"
    assert [each.note for each in found.declarations] == [None, other, other, None, None, None]
    assert {each.kind for each in found.declarations} == {"devcontainer"}
    assert found.unresolved == ()


def test_one_value_instead_of_a_list(tmp_path: Path) -> None:
    found = read(tmp_path, '{"appPort":\n 8000}')
    assert [(each.line, each.port) for each in found.declarations] == [(2, 8000)]


def test_what_is_elsewhere_stays_open(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        {
          "forwardPorts": ["db:5432",
            true, "x", 70000, [1, 2]],
          "appPort": "53:53/sctp",
          "runArgs": ["-e", "A=1",
            "-p", "${localEnv:PORT}:80", "--publish=1-2:3-5", "--network=host", "--net", "host", "-p"],
          "dockerComposeFile": ["../compose.yaml",
            "x.yaml"]
        }
        """,
    )
    assert found.declarations == ()
    assert [(each.code, each.line) for each in found.unresolved] == [
        ("forwarded", 2),
        *[("syntax", 2)] * 4,  # a list among them, so each has the line of the first
        ("protocol", 4),
        ("syntax", 6),
        ("syntax", 6),
        ("host-network", 6),
        ("host-network", 6),
        ("syntax", 6),
        ("include", 7),
        ("include", 8),
    ]
    assert "another container's port" in found.unresolved[0].message


def test_compose_files_that_are_read_anyway_need_no_remark(tmp_path: Path) -> None:
    path = tmp_path / ".devcontainer" / "devcontainer.json"
    path.parent.mkdir()
    path.write_text('{"dockerComposeFile": ["../compose.yaml", "x.yaml"]}')
    found = read_devcontainer(path, frozenset({str(tmp_path / "compose.yaml")}))
    assert ["x.yaml" in each.message for each in found.unresolved] == [True]


BROKEN = {
    "comma": ('{\n"a": 1\n"b": 2}', 3),
    "end": ('{"a": [\n', 1),
    "word": ('{"a":\n\n @}', 3),
    "extra": ("{}\n\n {}", 1),
    "empty": ("", 1),
    "comment": ("{\n/* }", 2),
    "list": ("[1]", 1),
    "nested": ("[" * 100_000, 1),
}


@pytest.mark.parametrize("text, line", BROKEN.values(), ids=BROKEN)
def test_broken_json_is_refused_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        read(tmp_path, text)
    assert caught.value.line == line
    assert "\n" not in caught.value.cause


def test_a_bad_published_port_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"devcontainer.json:2: appPort: host port '99999' is out of range"):
        read(tmp_path, '{"appPort": ["80:80",\n "99999:80"]}')


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyjson5", None)
    with pytest.raises(PreflightError, match="reading it needs pyjson5"):
        read(tmp_path, "{}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    values=st.lists(st.integers(1, 65535)),
    gaps=st.lists(st.sampled_from(["", "\n", "\n// x\n", "/*\n*/"]), min_size=1),
)
def test_every_value_has_its_own_line(values: list[int], gaps: list[str], tmp_path: Path) -> None:
    text = '{"forwardPorts": ['
    lines = []
    for index, value in enumerate(values):
        text += gaps[index % len(gaps)]
        lines.append(text.count("\n") + 1)
        text += f"{value},"
    path = tmp_path / "devcontainer.json"
    path.write_text(text + "]}")
    assert [(each.port, each.line) for each in read_devcontainer(path).declarations] == list(
        zip(values, lines, strict=True)
    )


def test_run_arguments_publish_as_docker_run_does(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        {
          "runArgs": ["--init", "-p", "8000:80",
            "-p8001:81", "--publish=127.0.0.1:8002:82/udp",
            "-p=8003-8004:83-84", "--publish", "85", "-P", "--name", "box"],
          "portsAttributes": {"80": {"label": "web"}}
        }
        """,
    )
    assert found.unresolved == ()
    assert [(each.host, each.port, each.protocol, each.line, each.service) for each in found.declarations] == [
        (None, 8000, "tcp", 2, "web"),
        (None, 8001, "tcp", 3, None),
        ("127.0.0.1", 8002, "udp", 3, None),
        (None, 8003, "tcp", 4, None),
        (None, 8004, "tcp", 4, None),
    ]
