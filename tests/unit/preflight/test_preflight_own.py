"""portcheck's own declaration in pyproject.toml and portcheck.toml."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.observe.ourselves import install_hint
from portcheck.preflight import PreflightError, Reading
from portcheck.preflight.declarations import Expected, LeftUnreadError
from portcheck.preflight.portcheck_toml import read_own
from portcheck.preflight.toml_lines import lines_of

Row = tuple[str | None, int, str | None, int, str]


def read(folder: Path, text: str, name: str = "portcheck.toml") -> Reading:
    path = folder / name
    path.write_text(dedent(text))
    return read_own(path)


def rows(reading: Reading) -> list[Row]:
    return [(each.service, each.line, each.host, each.port, each.protocol) for each in reading.declarations]


def test_everything_that_can_be_declared(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
        host = "127.0.0.1"

        [ports]
        web = 8000
        dns = "53/udp"
        seen = "0.0.0.0:8080-8081"
        six = "[::1]:8443"
        any = "*:8082"
        name = { port = 8083, host = "app.localhost" }
        workers = [
          "9001-9002",  # two
          9010,
        ]

        [ports.api]
        port = 8001
        host = "eth0"
        profile = "node"
        fallback = ["8002-8003", 8005]

        [ports.syslog]
        port = "514"
        protocol = "udp"
        """,
    )
    assert rows(found) == [
        ("web", 4, "127.0.0.1", 8000, "tcp"),
        ("dns", 5, "127.0.0.1", 53, "udp"),
        ("seen", 6, "0.0.0.0", 8080, "tcp"),
        ("seen", 6, "0.0.0.0", 8081, "tcp"),
        ("six", 7, "::1", 8443, "tcp"),
        ("any", 8, "*", 8082, "tcp"),
        ("name", 9, "app.localhost", 8083, "tcp"),
        ("workers", 10, "127.0.0.1", 9001, "tcp"),
        ("workers", 10, "127.0.0.1", 9002, "tcp"),
        ("workers", 10, "127.0.0.1", 9010, "tcp"),
        ("api", 15, "eth0", 8001, "tcp"),
        ("syslog", 21, "127.0.0.1", 514, "udp"),
    ]
    [api] = [each for each in found.declarations if each.service == "api"]
    assert (api.profile, api.fallback, api.kind) == ("node", (8002, 8003, 8005), "portcheck")


def test_in_pyproject_it_is_the_tools_table(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '''\
        [project]
        name = "x"
        description = """
        [tool.portcheck.ports]
        fake = 1
        """

        [tool.portcheck]
        protocol = "udp"
        profile = "java"
        ports.a = 8000
        ports."b c" = { port = "8001", protocol = "tcp", profile = "python" }

        [tool.portcheck.ports.d]
        port = 8002

        [tool.other]
        ports = { web = 3 }
        ''',
        "pyproject.toml",
    )
    assert rows(found) == [
        ("a", 11, None, 8000, "udp"),
        ("b c", 12, None, 8001, "tcp"),
        ("d", 14, None, 8002, "udp"),
    ]
    assert [each.profile for each in found.declarations] == ["java", "python", "java"]


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.portcheck]\n", "[tool]\nx = 1\n"])
def test_a_project_without_a_declaration(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text, "pyproject.toml") == Reading((str(tmp_path / "pyproject.toml"),))


REFUSED = {
    "broken": ("[ports]\nweb = \n", 2, "broken TOML: "),
    "unfinished": ("[ports]\nweb = [\n", 3, "broken TOML: "),
    "twice": ("[ports]\nweb = 1\nweb = 2\n", 3, "broken TOML: "),
    "huge number": ("ports.web = " + "9" * 5_000, None, "broken TOML: "),
    "unknown key": ("port = 8000\n", 1, "unknown key 'port'; accepted: host, protocol, profile, allow, ports"),
    "unknown key of a port": (
        "[ports]\nweb = {prt = 1}\n", 2, "web: unknown key 'prt'; accepted: port, fallback, host",
    ),
    "no port": ("[ports]\na = 1\nweb = {host = 'x'}\n", 3, "web: port is missing"),
    "range": ("[ports]\nweb = 70000\n", 2, "web: port 70000 is out of range"),
    "zero": ("[ports]\nweb = 0\n", 2, "web: port 0 is out of range"),
    "negative": ("[ports]\nweb = -1\n", 2, "web: '-1' is no port"),
    "backwards": ("[ports]\nweb = '9-8'\n", 2, "web: '9-8' runs backwards; write 8-9"),
    "boolean": ("[ports]\nweb = true\n", 2, "web: 'True' is no port"),
    "float": ("[ports]\nweb = 80.5\n", 2, "web: '80.5' is no port"),
    "long": ("[ports]\nweb = '" + "1-65535," * 100 + "1'\n", 2, "web: '1-65535,"),
    "endless fallback": (
        "[ports]\nweb = {port = 1, fallback = '" + "1-65535," * 100 + "1'}\n", 2, "web: '1-65535,",
    ),
    "protocol": ("protocol = 'sctp'\n[ports]\nweb = 1\n", 1, "unknown protocol 'sctp'; accepted: tcp, udp"),
    "protocol in target": ("[ports]\nweb = '1/sctp'\n", 2, "web: unknown protocol 'sctp'"),
    "host": ("[ports]\nweb = {port = 1, host = 7}\n", 2, "web: host is a text, not '7'"),
    "address": ("[ports]\nweb = {port = 1, host = '[x]'}\n", 2, "web: 'x' is no IP address"),
    "fallback for several": (
        "[ports]\nweb = {port = '1-2', fallback = 3}\n", 2, "web: fallback stands in for one port",
    ),
    "fallback": ("[ports]\nweb = {port = 1, fallback = ['x y']}\n", 2, "web: 'x y' is no port"),
    "ports": ("ports = [8000]\n", 1, "ports is a table of names"),
    "deep": ("x = " + "[" * 50_000, None, "nested too deep"),
}  # fmt: skip


@pytest.mark.parametrize("text, line, cause", REFUSED.values(), ids=REFUSED)
def test_refuses_with_file_line_and_name(text: str, line: int | None, cause: str, tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        read(tmp_path, text)
    where = f"{tmp_path / 'portcheck.toml'}:{line}: " if line else f"{tmp_path / 'portcheck.toml'}: "
    assert caught.value.cause.startswith(where + cause)
    assert "\n" not in caught.value.cause
    assert len(caught.value.cause) < 500


@pytest.mark.parametrize("name", ["portcheck.toml", "pyproject.toml"])
def test_a_python_without_a_toml_parser_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parser in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, parser, None)
    with pytest.raises(PreflightError) as caught:
        read(tmp_path, "[ports]\nweb = 8000\n", name)
    assert caught.value.cause == f"{tmp_path / name}: reading it needs tomli"
    assert caught.value.remedy == install_hint("tomli", "preflight")


def test_a_tool_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="portcheck is a table"):
        read(tmp_path, "tool.portcheck = 8000\n", "pyproject.toml")


def test_more_ports_than_there_are_is_refused(tmp_path: Path) -> None:
    names = "\n".join(f"n{number} = '1-8193'" for number in range(2))
    with pytest.raises(LeftUnreadError, match=r"portcheck\.toml:3: more than 16,384 ports"):
        read(tmp_path, f"[ports]\n{names}\n")


@pytest.mark.parametrize(
    "key", ["a." * 24_000 + "a", "a . " * 64 + "a", "'a'.\"b\"." * 32 + "a"], ids=["bare", "blanks", "quoted"]
)
def test_a_key_of_many_parts_is_not_parsed(key: str, tmp_path: Path) -> None:
    """The standard library's parser takes time that grows with their square."""
    for text in (f"{key} = 1", f"[{key}]", f"x = {{{key} = 1}}"):
        with pytest.raises(LeftUnreadError, match=r"portcheck\.toml:2: a key of more than 64 parts"):
            read(tmp_path, f"\n{text}\n")


def test_what_only_looks_like_a_long_key_is_read(tmp_path: Path) -> None:
    text = f"# {'.' * 100}\n# {'word. and ' * 100}\nports.web = 8000\n"
    assert [each.port for each in read(tmp_path, text).declarations] == [8000]


def test_a_fallback_of_more_ports_than_there_are_is_refused(tmp_path: Path) -> None:
    every = ", ".join(["'1-65535'"] * 20_000)
    with pytest.raises(PreflightError, match="web: fallback names more ports than there are"):
        read(tmp_path, f"[ports]\nweb = {{port = 1, fallback = [{every}]}}\n")


def test_lines_of_keys_however_they_are_written() -> None:
    text = dedent('''\
        # a.b = 1
        [[a.list]]
        x = 1
        [a]
        s = """
        [a.no]
        """
        t = [ # one
          "]",

          "two" ]
        "u v".w.x = 1
        y = { z = 1, q = { r = 2 } }
        [ a . "last" ] # here
        [other]
        s = 1
        ''')
    assert lines_of(text, ("a",)) == {
        (): 2,
        ("list",): 2,
        ("list", "x"): 3,
        ("s",): 5,
        ("t",): 8,
        ("u v",): 12,
        ("u v", "w"): 12,
        ("y",): 13,
        ("y", "z"): 13,
        ("y", "q"): 13,
        ("last",): 14,
    }


def test_looking_for_lines_costs_a_bounded_amount() -> None:
    """A list of many lines that could each be its last is parsed again at each: given up, not paid for."""
    text = "[ports]\nfirst = 1\nlong = [\n" + '"x",\n"]"\n,' * 50_000 + "]\nlast = 1\n"
    assert lines_of(text, ()) == {(): 1, ("ports",): 1, ("ports", "first"): 2}


CHUNKS = {
    "a = 1": ("a",),
    "b = [\n1,\n2\n]": ("b",),
    's = """\n[q]\n"""': ("s",),
    "# c": None,
    "": None,
    "[t]": (),
}


@given(st.lists(st.sampled_from(list(CHUNKS))))
def test_statements_are_found_at_their_lines(chunks: list[str]) -> None:
    text = ""
    expected: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for chunk in chunks:
        line = text.count("\n") + 1
        table = ("t",) if chunk == "[t]" else table
        path = CHUNKS[chunk]
        if path is not None:
            for end in range(len((*table, *path)) + 1):
                expected.setdefault((*table, *path)[:end], line)
        text += chunk + "\n"
    assert lines_of(text, ()) == expected


def test_by_whom_and_on_several_hosts(tmp_path: Path) -> None:
    (tmp_path / "portcheck.toml").write_text(
        """\
host = ["127.0.0.1", "::1"]
allow = [22, "53/udp", {port = "6000-6001", user = "ann"}]
[ports]
web = 80
ssh = {port = 22, host = "0.0.0.0", process = "/usr/sbin/sshd", user = "0", service = "ssh", optional = true}
db = {port = 5432, container = "db", host = ["*"]}
"""
    )
    found = read_own(tmp_path / "portcheck.toml")
    assert [(each.service, each.port, each.host, each.expected) for each in found.declarations] == [
        ("web", 80, "127.0.0.1", Expected()),
        ("web", 80, "::1", Expected()),
        ("ssh", 22, "0.0.0.0", Expected("/usr/sbin/sshd", "0", "ssh", None, optional=True)),
        ("db", 5432, "*", Expected(container="db")),
    ]
    assert [(each.port, each.protocol, each.host, each.expected.user, each.line) for each in found.allowed] == [
        (22, "tcp", None, None, 2), (53, "udp", None, None, 2), (6000, "tcp", None, "ann", 2),
        (6001, "tcp", None, "ann", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ("{port = 1, host = []}", "host is a list of 1 to 64, not of 0"),
        ("{port = 1, host = [1]}", "host is a text, not '1'"),
        ("{port = 1, process = 1}", "process is a text of 1 to 4096 characters, not '1'"),
        ("{port = 1, user = ''}", "user is a text of 1 to 4096 characters, not ''"),
        ("{port = 1, service = ['a']}", "service is a text"),
        ("{port = 1, optional = 'yes'}", "optional is true or false, not 'yes'"),
    ],
)
def test_refuses_what_says_nobody(entry: str, cause: str, tmp_path: Path) -> None:
    for text, name in ((f"allow = [{entry}]", "allow"), (f"[ports]\nweb = {entry}", "web")):
        (tmp_path / "portcheck.toml").write_text(text)
        with pytest.raises(PreflightError, match=re.escape(f"{name}: {cause}")):
            read_own(tmp_path / "portcheck.toml")
