"""`.env`: PORT alone is a declaration, every variable serves others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")

from portcheck.observe.ourselves import install_hint
from portcheck.preflight import Declaration, PreflightError, Reading
from portcheck.preflight.declarations import LeftUnreadError
from portcheck.preflight.dotenv import assignments, port_number, read_env, with_file


def read(folder: Path, text: str, environment: dict[str, str] | None = None) -> Reading:
    path = folder / ".env"
    path.write_bytes(text.encode())
    return read_env(path, environment or {})


DECLARED = {
    "PORT=3000\n": (1, 3000),
    "# first\n\n\n  export PORT = '3000'  # why\n": (4, 3000),
    'A="x\ny"\nPORT="3000"': (3, 3000),
    "PORT=1\r\nDB_PORT=5432\r\nPORT=3000\r\n": (3, 3000),
    "BASE=30\nPORT=${BASE}00\n": (2, 3000),
    "PORT=${NOBODY:-3000}\n": (1, 3000),
}


@pytest.mark.parametrize("text", DECLARED)
def test_port_is_declared_with_its_line(text: str, tmp_path: Path) -> None:
    line, port = DECLARED[text]
    found = read(tmp_path, text)
    (declared,) = (each for each in found.declarations if each.service == "PORT")
    assert declared._replace(variables=()) == Declaration(
        port, "tcp", None, str(tmp_path / ".env"), line, "env", "PORT"
    )
    assert declared.variables == (("BASE",) if "BASE" in text else ())
    assert found.unresolved == ()


@pytest.mark.parametrize("text", ["", "DB_PORT=x\n", "PORT\n", "PORT=\n", "#PORT=3000\n", "XPORT=1\nport=2\n"])
def test_others_ports_are_not_declared(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == Reading((str(tmp_path / ".env"),))


NO_PORT = "the value of PORT is no port from 1 to 65535"
OPEN = {
    "PORT=auto\n": ("variable", 1, NO_PORT),
    "PORT=0\n": ("variable", 1, NO_PORT),
    "\nPORT=70000\n": ("variable", 2, NO_PORT),
    "PORT=80${NOBODY}\n": ("variable", 1, "NOBODY is not set and has no default"),
    "PORT='${A}'\n": ("variable", 1, NO_PORT),
    "A=1\nPORT='30\n": ("syntax", 2, "this line is no NAME=value"),
}


@pytest.mark.parametrize("text", OPEN)
def test_what_is_no_port_stays_open(text: str, tmp_path: Path) -> None:
    found = read(tmp_path, text)
    assert found.declarations == ()
    assert [(each.code, each.line, each.message) for each in found.unresolved] == [OPEN[text]]


def test_another_port_in_the_environment_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "PORT=3000\n", {"PORT": "4000"})
    assert [each.port for each in found.declarations] == [3000]
    [remark] = found.unresolved
    assert remark.message == "the environment sets another PORT, which most programs prefer to this file"
    assert read(tmp_path, "PORT=3000\n", {"PORT": "3000"}).unresolved == ()


def test_the_process_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nB=${A}\nC='$A'\nD=$$x\nE=${A\nA=2\n")
    assert with_file(path, {"A": "9"}) == {"A": "9", "B": "9", "C": "$A", "D": "$x", "E": "${A"}
    assert assignments(path, {})["A"] == "2"
    assert with_file(tmp_path / "none", {"A": "9"}) == {"A": "9"}
    assert assignments(tmp_path / "none", {}) == {}


def test_what_doubles_is_not_built(tmp_path: Path) -> None:
    doubling = "A=aa\n" + "A=${A}${A}\n" * 40
    for text in (doubling, "A=" + "a" * 60_000 + "\n" + "B=$A\n" * 20):
        with pytest.raises(LeftUnreadError, match=r"\.env:\d+: (variables make it longer|more) than"):
            read(tmp_path, text)


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dotenv.parser", None)
    with pytest.raises(PreflightError, match=r"\.env: reading it needs python-dotenv") as caught:
        read(tmp_path, "PORT=1\n")
    assert caught.value.remedy == install_hint("python-dotenv", "preflight")


@pytest.mark.parametrize("text", ["0", "65536", "-1", "+1", "1.0", " 1", "1\n", "", "٣", "1" * 5_000])
def test_a_port_number_is_plain_digits(text: str) -> None:
    assert port_number(text) is None


@given(st.integers(1, 65535))
def test_every_port_number_is_read(port: int) -> None:
    assert port_number(str(port)) == port


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text("PORT=1${}:-?'\"\\\n\r# ax", max_size=60))
def test_any_text_is_read(text: str, tmp_path: Path) -> None:
    found = read(tmp_path, text)
    lines = len(text.splitlines()) + 1
    assert all(1 <= each.line <= lines for each in found.declarations)
    assert all(1 <= each.line <= lines for each in found.unresolved)
