"""Which files are looked at, and all readers together."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")
pytest.importorskip("pyjson5", reason="pyjson5 is not installed (portcheck[preflight])")

from portcheck.errors import UsageError
from portcheck.preflight import PreflightError, Reading, read
from portcheck.preflight.discover import COMPOSE, OVERRIDES, Source, find, named


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def shown(sources: list[Source], folder: Path) -> list[tuple[str, list[str]]]:
    return [(source.kind, [str(path.relative_to(folder)) for path in source.files]) for source in sources]


def test_every_kind_of_file_is_found(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *COMPOSE,
        *OVERRIDES,
        ".env",
        "Procfile",
        "pyproject.toml",
        "portcheck.toml",
        "sub/compose.yaml",
        "Procfile.dev",
        "Procfile.bak",
    )
    touch(tmp_path, ".devcontainer/devcontainer.json", ".devcontainer.json", "other.yaml", "package.json")
    touch(tmp_path, ".devcontainer/api/devcontainer.json", ".devcontainer/none/other.json")
    assert shown(find(tmp_path, {}), tmp_path) == [
        ("compose", ["compose.yaml", "compose.override.yml"]),
        ("env", [".env"]),
        ("procfile", ["Procfile"]),
        ("package", ["package.json"]),
        ("devcontainer", [".devcontainer/devcontainer.json"]),
        ("devcontainer", [".devcontainer.json"]),
        ("portcheck", ["pyproject.toml"]),
        ("portcheck", ["portcheck.toml"]),
        ("procfile", ["Procfile.dev"]),
        ("devcontainer", [".devcontainer/api/devcontainer.json"]),
    ]


@pytest.mark.parametrize("base", COMPOSE)
@pytest.mark.parametrize("override", OVERRIDES)
def test_the_names_of_compose_files(base: str, override: str, tmp_path: Path) -> None:
    touch(tmp_path, override)
    assert find(tmp_path, {}) == []
    touch(tmp_path, base)
    assert shown(find(tmp_path, {}), tmp_path) == [("compose", [base, override])]


def test_compose_file_names_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "compose.yaml", "a.yaml", "b.yaml")
    chosen = {"COMPOSE_FILE": f"a.yaml{os.pathsep}b.yaml"}
    assert shown(find(tmp_path, chosen), tmp_path) == [("compose", ["a.yaml", "b.yaml"])]
    (tmp_path / ".env").write_text("COMPOSE_FILE=b.yaml,a.yaml\nCOMPOSE_PATH_SEPARATOR=,\n")
    assert shown(find(tmp_path, {}), tmp_path)[0] == ("compose", ["b.yaml", "a.yaml"])


def test_named_files_are_told_by_their_names(tmp_path: Path) -> None:
    names = {
        "docker-compose.test.yml": "compose",
        "stack.yaml": "compose",
        ".env": "env",
        ".env.local": "env",
        "dev.env": "env",
        "Procfile": "procfile",
        "Procfile.dev": "procfile",
        "package.json": "package",
        "db.portcheck.toml": "portcheck",
        "portcheck-web.toml": "portcheck",
        "devcontainer.json": "devcontainer",
        ".devcontainer.json": "devcontainer",
        "pyproject.toml": "portcheck",
        "portcheck.toml": "portcheck",
    }
    touch(tmp_path, *names)
    assert [source.kind for source in named([tmp_path / name for name in names], {})] == list(names.values())


def test_a_named_override_joins_its_base(tmp_path: Path) -> None:
    touch(tmp_path, "compose.yaml", "compose.override.yaml", "b.yaml", "sub/compose.override.yaml")
    paths = [
        tmp_path / name for name in ("compose.yaml", "compose.override.yaml", "b.yaml", "sub/compose.override.yaml")
    ]
    assert shown(named(paths, {}), tmp_path) == [
        ("compose", ["compose.yaml", "compose.override.yaml"]),
        ("compose", ["b.yaml"]),
        ("compose", ["sub/compose.override.yaml"]),
    ]


@pytest.mark.parametrize(
    "name, cause",
    [("none.yaml", "no such file"), ("x.txt", "is no kind of file"), ("x" * 5_000, "File name too long")],
)
def test_a_path_that_is_no_declaration(name: str, cause: str, tmp_path: Path) -> None:
    touch(tmp_path, "x.txt")
    with pytest.raises(UsageError, match=cause):
        read([tmp_path / name])


def project(folder: Path) -> None:
    (folder / "compose.yaml").write_text(
        'services:\n  web: {image: x, ports: ["${PORT}:80"]}\n  db: {image: y, ports: ["127.0.0.1:5432:5432"]}\n'
    )
    (folder / ".env").write_text("DB_PORT=5432\nPORT=3000\n")
    (folder / "Procfile").write_text("release: migrate\nhelp: help --port 4000\n")
    (folder / ".devcontainer.json").write_text('{"forwardPorts": [3000],\n "dockerComposeFile": "compose.yaml"}')
    (folder / "pyproject.toml").write_text("[tool.portcheck.ports]\nmetrics = 9090\n")


def test_a_directory_is_read_as_one(tmp_path: Path) -> None:
    project(tmp_path)
    found = read(directory=tmp_path, environment={}, docker=False)
    assert [(Path(each.file).name, each.line, each.service, each.host, each.port) for each in found.declarations] == [
        ("compose.yaml", 2, "web", None, 3000),  # and not once more from .env, where it has its number from
        ("compose.yaml", 3, "db", "127.0.0.1", 5432),
        ("Procfile", 2, "help", None, 4000),
        (".devcontainer.json", 1, None, "127.0.0.1", 3000),
        ("pyproject.toml", 2, "metrics", None, 9090),
    ]
    assert [Path(file).name for file in found.files] == [
        "compose.yaml", ".env", "Procfile", ".devcontainer.json", "pyproject.toml",
    ]  # fmt: skip
    assert found.unresolved == ()
    assert read([tmp_path], environment={}, docker=False) == found


def test_paths_are_named_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {each.file for each in read(environment={}, docker=False).declarations} >= {
        "compose.yaml",
        "Procfile",
    }
    assert {each.file for each in read(["./pyproject.toml"]).declarations} == {"pyproject.toml"}


def test_the_env_file_counts_where_something_publishes_its_port(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=3000\nSMTP_PORT=25\nSECRET_PORT=hunter2\n")
    for text, left in (
        ("services: {web: {image: x, ports: ['3001:80']}}", ["PORT", "SMTP_PORT"]),
        ("services: {web: {image: x, ports: ['3000:80/udp']}}", ["PORT", "SMTP_PORT"]),
        ("services: {web: {image: x, ports: ['3000:80'], profiles: [off]}}", ["PORT", "SMTP_PORT"]),
        ("services: {web: {image: x, ports: ['3000:80']}}", ["SMTP_PORT"]),
        ("services: {web: {image: x, ports: ['3000:80', '25:25']}}", []),
    ):
        (tmp_path / "compose.yaml").write_text(text)
        found = read([tmp_path], environment={}, docker=False)
        assert {each.kind for each in found.declarations} == {"compose"}
        assert [(each.code, each.message.partition(" names a port, ")[0]) for each in found.unresolved] == [
            ("not-judged", name) for name in left
        ]


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    long = "x" * 5_000
    (tmp_path / "compose.yaml").write_text(f'include: [{long}, "a\\0b"]\n')
    (tmp_path / ".devcontainer.json").write_text(f'{{"dockerComposeFile": ["{long}", "a\\u0000b"]}}')
    found = read([tmp_path], environment={}, docker=False)
    assert [each.code for each in found.unresolved] == ["include"] * 4
    with pytest.raises(PreflightError, match=f"cannot be read: {os.strerror(errno.ENAMETOOLONG)}"):
        read([tmp_path], environment={"COMPOSE_FILE": long}, docker=False)


def test_an_empty_directory_declares_nothing(tmp_path: Path) -> None:
    assert read(directory=tmp_path, environment={}) == Reading()


def test_the_environment_is_the_processs_own_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x, ports: ['${PREFLIGHT_TEST}:80']}}")
    monkeypatch.setenv("PREFLIGHT_TEST", "7001")
    assert [each.port for each in read([tmp_path], docker=False).declarations] == [7001]


def test_one_broken_file_stops_the_reading(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "pyproject.toml").write_text("x\n")
    with pytest.raises(PreflightError, match=r"pyproject\.toml:1: broken TOML"):
        read([tmp_path], environment={}, docker=False)


def test_reading_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    project(tmp_path)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    read([tmp_path], environment={"PATH": os.environ["PATH"]})
    after = {path: path.stat() for path in tmp_path.rglob("*")}
    assert {path: (stat.st_mtime_ns, stat.st_size) for path, stat in after.items()} == {
        path: (stat.st_mtime_ns, stat.st_size) for path, stat in before.items()
    }
