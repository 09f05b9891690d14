"""`package.json`: the servers of its scripts, and their configurations as far as a literal port stands there."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.declarations import LeftUnreadError
from portcheck.preflight.javascript import NotLiteralError, property_of
from portcheck.preflight.package_json import MAX_SCRIPTS, read_package


def read(folder: Path, scripts: Any, environment: dict[str, str] | None = None, **files: str) -> Reading:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    path = folder / "package.json"
    path.write_text(json.dumps({"name": "shop", "scripts": scripts}, indent=2))
    return read_package(path, environment or {})


@pytest.mark.parametrize(
    ("script", "host", "port", "profile"),
    [
        ("vite", None, 5173, "vite"),
        ("vite --port 3000 --host", None, 3000, "vite"),
        ("vite --host 0.0.0.0 --port 3000", "0.0.0.0", 3000, None),
        ("tsc && vite preview", None, 4173, "vite"),
        ("next dev -p 3001", None, 3001, "next"),
        ("next start", None, 3000, "next"),
        ("next dev -H 127.0.0.1", None, 3000, "next"),
        ("PORT=4000 node server.js", None, 4000, None),
        ("cross-env NODE_ENV=x PORT=4000 node server.js", None, 4000, None),
        ("nuxt dev", None, 3000, None),
        ("astro dev --port 4000", None, 4000, None),
        ("ng serve --port=4300", None, 4300, None),
        ("webpack-dev-server --port 9000", None, 9000, None),
        ("webpack serve", None, 8080, None),
        ("react-scripts start", None, 3000, None),
        ("vue-cli-service serve", None, 8080, None),
        ("json-server db.json -p 3004", None, 3004, None),
        ("php -S localhost:8000", "localhost", 8000, None),
    ],
)
def test_what_a_script_starts(script: str, host: str | None, port: int, profile: str | None, tmp_path: Path) -> None:
    found = read(tmp_path, {"dev": script})
    (declared,) = found.declarations
    assert (declared.host, declared.port, declared.profile) == (host, port, profile)
    assert (declared.kind, declared.service, declared.line) == ("package", "dev", 4)
    assert found.unresolved == ()


@pytest.mark.parametrize(
    "script", ["tsc", "jest", "vite build", "npm run dev", "kill-port 3000", "wait-on tcp:3000", ""]
)
def test_what_starts_nothing(script: str, tmp_path: Path) -> None:
    assert read(tmp_path, {"x": script})[1:3] == ((), ())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("web --port $SOME_PORT", "SOME_PORT is not set"),
        ("node serve.js --listen", "names no port for certain"),
        ("puma", "names no port for certain"),
        ("web --port 99999", "is no port by itself"),
        ("x" * 5_000, "longer than 4,096"),
    ],
)
def test_what_is_not_understood_is_named(script: str, words: str, tmp_path: Path) -> None:
    found = read(tmp_path, {"dev": script})
    assert found.declarations == ()
    assert [(words in each.message, each.service) for each in found.unresolved] == [(True, "dev")]


def test_each_script_has_its_line_and_what_runs_beside_another_is_left_out(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"predev": "serve", "dev": "vite", "start": "next start", "pretty": "serve -l 3009", "no": 1}
    )
    told = [(each.service, each.line, each.port) for each in found.declarations]
    assert told == [("dev", 5, 5173), ("start", 6, 3000), ("pretty", 7, 3009)]


def test_a_server_that_moves_on_has_ports_to_fall_back_to(tmp_path: Path) -> None:
    usual, named = read(tmp_path, {"a": "vite", "b": "vite --port 3000"}).declarations
    assert (usual.fallback[0], usual.fallback[-1], named.fallback) == (5174, 5183, ())
    assert usual.note == "the usual port of vite, which is told none"


def test_variables_that_a_server_heeds(tmp_path: Path) -> None:
    environment = {"PORT": "4000"}
    assert [each.port for each in read(tmp_path, {"a": "next dev", "b": "vite"}, environment).declarations] == [
        4000,
        5173,
    ]
    # react-scripts reads .env by itself, next does not
    found = read(tmp_path, {"a": "react-scripts start", "b": "next dev"}, __env="PORT=3100\n")
    assert [each.port for each in found.declarations] == [3100, 3000]


@pytest.mark.parametrize("text", ["[]", '{"scripts": []}', '{"scripts": {"a": ["b"]}}', '{"name": "x"}', "{}"])
def test_what_has_no_scripts(text: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(text)
    if text == "[]":
        with pytest.raises(PreflightError, match="an object"):
            read_package(tmp_path / "package.json", {})
    else:
        assert read_package(tmp_path / "package.json", {}).declarations == ()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{\n "scripts": {\n  "a": "b",\n }}', "package.json:4: broken JSON: "),
        ("", "package.json:1: broken JSON: "),
        ('{"a": ' + "9" * 5_000 + "}", "broken JSON: a number is too long"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_json(text: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(text)
    if "9999" in text and sys.version_info < (3, 11):
        return
    with pytest.raises(PreflightError, match=cause):
        read_package(tmp_path / "package.json", {})


def test_a_workspace_with_comments(tmp_path: Path) -> None:
    pytest.importorskip("pyjson5", reason="pyjson5 is not installed (portcheck[preflight])")
    text = '{"projects": {"a": {"targets": {"serve": {"options": {"port": 4301 /* ours */}}}}}}'
    assert [each.port for each in read(tmp_path, {"a": "ng serve"}, angular__json=text).declarations] == [4301]


def test_more_than_anybody_writes(tmp_path: Path) -> None:
    with pytest.raises(LeftUnreadError, match="more than 500 scripts"):
        read(tmp_path, {f"s{number}": "vite" for number in range(MAX_SCRIPTS + 1)})


# Configurations


CONFIGURED = {
    "export default { server: { port: 3000 } }": 3000,
    "import x from 'y'\nexport default {\n  plugins: [x()],\n  server: {\n   host: 1,\n   port: 3_00,\n },\n}": 300,
    'module.exports = { "server": { "port": "8080" } };': 8080,
    "export default make(({ mode }) => ({ server: { proxy: { '/a': { to: 'http://x:1' } }, port: 3001 } }))": 3001,
    "// server: { port: 1 }\n/* port: 2 */ export default { a: 'server: {port: 3}', server: { port: 3002 } }": 3002,
    "export default { test: /server: {port: 1}/, server: { port: 3003, hmr: { port: 24678 } } }": 3003,
    "export default { server: { proxy: { x: `http://localhost:${a}` }, port: 3004 } }": 3004,
    "export default { preview: { port: 5000 } }": None,
    "export default { plugins: [...a] }": None,
    "": None,
}


@pytest.mark.parametrize("text", CONFIGURED)
def test_a_literal_port_is_read(text: str) -> None:
    found = property_of("vite.config.ts", text, "server", "port")
    assert (found and found.value) == CONFIGURED[text]
    if found:
        assert found.line == text[: text.find("port: 3_00")].count("\n") + 1


NOT_LITERAL = [
    "export default { server: { port: process.env.PORT || 3000 } }",
    "export default { server: { port } }",
    "export default { server: { port: 3000 + 1 } }",
    "export default { server: { port: Number('3000') } }",
    "export default { server: { port: 70000 } }",
    "export default { server: { port: 3000.5 } }",
    "export default { server: { ...base, port: 3000 } }",
    "export default { server: { port: 1, port: 2 } }",
    "export default { server: { port: 1 }, x: { server: { port: 2 } } }",
    "export default { server }",
    "export default { server: options() }",
    "export default { server: { port: `3000` } }",
    "export default { ...base }",
    "export default mergeConfig(base, { test: 1 })",
    "export default { server: { ",
    "export default { server: { port() { return 1 } } }",
]


@pytest.mark.parametrize("text", NOT_LITERAL)
def test_anything_else_is_not_judged(text: str) -> None:
    with pytest.raises(NotLiteralError):
        property_of("vite.config.ts", text, "server", "port")


def test_the_servers_own_file_counts(tmp_path: Path) -> None:
    config = "export default {\n  server: { port: 3000 },\n  preview: { port: 3001 },\n}\n"
    dev, preview = read(tmp_path, {"dev": "vite", "preview": "vite preview"}, vite__config__ts=config).declarations
    assert (dev.port, dev.line, Path(dev.file).name, dev.service) == (3000, 2, "vite.config.ts", "dev")
    assert (preview.port, preview.line) == (3001, 3)
    # what the command says counts more
    assert [each.port for each in read(tmp_path, {"dev": "vite --port 4000"}).declarations] == [4000]


def test_what_its_file_computes_is_not_judged(tmp_path: Path) -> None:
    found = read(tmp_path, {"dev": "vite"}, vite__config__js="export default {\n server: { port: +PORT } }")
    assert found.declarations == ()
    (remark,) = found.unresolved
    assert (Path(remark.file).name, remark.line, remark.service) == ("vite.config.js", 2, "dev")
    assert remark.message.endswith("vite.config.js, which computes it: not judged")


def test_a_configuration_that_leads_outside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "vite.config.js").write_text("export default { server: { port: 3000 } }")
    (tmp_path / "project/vite.config.js").symlink_to(tmp_path / "vite.config.js")
    found = read(tmp_path / "project", {"dev": "vite"})
    assert (found.declarations, [each.code for each in found.unresolved]) == ((), ["outside"])


@pytest.mark.parametrize(
    ("workspace", "ports"),
    [
        ({"projects": {"a": {"architect": {"serve": {"options": {"port": 4300}}}}}}, [4300]),
        ({"projects": {"a": {"targets": {"serve": {"options": {"port": 4301}}}}, "b": {}}}, [4301]),
        ({"projects": {"a": {"architect": {"serve": {"options": {}}}}}}, [4200]),
        ({"projects": {}}, [4200]),
        ([], None),
        (
            {
                "projects": {
                    name: {"architect": {"serve": {"options": {"port": port}}}} for name, port in (("a", 1), ("b", 2))
                }
            },
            None,
        ),
    ],
)
def test_angulars_workspace(workspace: Any, ports: list[int] | None, tmp_path: Path) -> None:
    found = read(tmp_path, {"start": "ng serve"}, angular__json=json.dumps(workspace, indent=1))
    assert [each.port for each in found.declarations] == (ports or [])
    assert len(found.unresolved) == (ports is None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text("server:{port 3,}[]()/*`'\"\\\n.=$", max_size=80))
def test_any_configuration_is_read(text: str) -> None:
    try:
        property_of("f", text, "server", "port")
    except NotLiteralError:
        return


HOSTILE = [
    "/*" * 100_000, "{...a," * 40_000, "server:{" * 30_000, ("(/[" * 300 + "\n") * 280, "`" * 200_001,
    "[...a," * 40_000, "{server:{\n" * 25_000, "'" * 200_000, "\n" * 250_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_configuration_costs_little(text: str) -> None:
    began = time.process_time()
    with suppress(NotLiteralError):
        property_of("f", text[: 1 << 18], "server", "port")
    assert time.process_time() - began < 5
