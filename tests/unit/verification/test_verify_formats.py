"""What verify found as text, at a terminal, as JSON, GitHub's annotations and JUnit's XML."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import Error, Failure, Skipped
from support.formats import NASTY, commands, read_back
from support.scenes import NOON
from support.verified import report

from portcheck import exit_codes
from portcheck.render import github, junit
from portcheck.render.json_documents import dumps, verify_document
from portcheck.render.layout import Canvas, cells
from portcheck.render.verify import drawn, text

SCHEMA: dict[str, Any] = json.loads(files("portcheck").joinpath("schema.json").read_text())
names = st.sampled_from(NASTY) | st.text(min_size=1, max_size=12).filter(lambda name: name not in ("web", "root"))


def test_text() -> None:
    assert list(text(report())) == [
        "portcheck.toml:1  db     127.0.0.1:5432  as declared    db (PID 7, db)",
        "portcheck.toml:1  web    8000            not listening",
        "portcheck.toml:1  api    3000            unknown        a process of db (hidden from here)",
        "portcheck.toml:1  off    8001            not running",
        "compose.yaml:20   debug  9229            not checked    it is switched off",
        "",
        "portcheck.toml:1 web: Nobody listens on port 8000.",
        (
            "portcheck.toml:1 api: a process of db listens on every IPv4 address; whether that is db is not known: "
            "the process that holds it cannot be seen from here."
        ),
        "",
        "undeclared: 0.0.0.0:9999  db (PID 7, db)",
        "not told: 0.0.0.0:4000  a process of root (hidden from here)",
        "",
        "not seen: compose.yaml:10 db: db is not set",
        "",
        (
            "4 declared ports: 1 as declared, 1 not listening, 1 unknown, 1 not running; "
            "1 entry could not be resolved; 1 undeclared listener; 1 more may be undeclared. "
            "Of no concern: 1 of UDP clients, 1 allowed."
        ),
    ]


def test_at_a_terminal() -> None:
    assert list(drawn(report(), Canvas(100, now=NOON))) == [
        "✓ db   127.0.0.1:5432  db (PID 7, db)",
        "✗ web  8000            Nobody listens on port 8000.",
        "! api  3000            a process of db listens on every IPv4 address; whether that is db is not",
        "                       known: the process that holds it cannot be seen from here.",
        "✓ off  8001            not running, and need not",
        "✗ 0.0.0.0:9999  db (PID 7, db): nobody declares it",
        "! 0.0.0.0:4000  a process of root (hidden from here): perhaps nobody declares it",
        "",
        "not seen: compose.yaml:10 db: db is not set",
        "4 declared ports: 1 as declared, 1 not listening, 1 unknown, 1 not running; 1 entry could not be",
        "  resolved; 1 undeclared listener; 1 more may be undeclared. Of no concern: 1 of UDP clients, 1",
        "  allowed.",
    ]
    # without --only it is worth a look, and no fault
    assert "! 0.0.0.0:9999  db (PID 7, db): nobody declares it" in list(
        drawn(report(only=False), Canvas(100, now=NOON))
    )


@given(names, st.integers(20, 120))
def test_text_is_harmless_on_a_screen(name: str, width: int) -> None:
    assert all(line.isprintable() for line in text(report(name)))
    lines = list(drawn(report(name), Canvas(width, now=NOON)))
    assert all(line.isprintable() for line in lines)
    assert all(cells(line) <= width or len(line.split()) < 6 for line in lines)


@settings(max_examples=25)
@given(names)
def test_json_is_as_the_schema_says(name: str) -> None:
    document = json.loads(dumps(verify_document(report(name))))
    Draft202012Validator({"$ref": "#/$defs/verify", "$defs": SCHEMA["$defs"]}).validate(document)
    Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_has_every_key_that_is_told() -> None:
    document = verify_document(report())
    properties = {name: set(entry.get("properties", ())) for name, entry in SCHEMA["$defs"].items()}
    assert set(document) == properties["verify"]
    assert set(document["declared"][0]) == properties["verified"] | properties["declaration"]
    assert set(document["declared"][0]["expected"]) == set(
        SCHEMA["$defs"]["verified"]["properties"]["expected"]["properties"]
    )
    for name in ("verify", "verified"):
        assert set(SCHEMA["$defs"][name]["required"]) == properties[name]


def test_json_says_what_was_expected_and_what_was_found() -> None:
    document = verify_document(report())
    told = [(each["name"], each["target"], each["ok"], each["status"]) for each in document["declared"]]
    assert told == [
        ("db", "127.0.0.1:5432", True, "as-declared"),
        ("web", "8000", False, "not-listening"),
        ("api", "3000", None, "unknown"),
        ("off", "8001", True, "not-running"),
    ]
    assert document["declared"][0]["expected"]["process"] == "db"
    assert document["declared"][0]["found"]["owners"][0]["pid"] == 7
    assert [socket["local_port"] for socket in document["undeclared"]] == [9999]
    assert document["owners"][0]["sockets"] == [0]
    assert [(each["reason"], each["socket"]["local_port"]) for each in document["apart"]] == [
        ("udp-client", 4500),
        ("allowed", 5353),
    ]
    assert document["complete"] is False


def test_github() -> None:
    told = [
        (each.name, each.properties["title"], each.data) for each in commands(list(github.verify_commands(report())))
    ]
    assert [each[:2] for each in told] == [
        ("error", "portcheck: 8000 not listening"),
        ("warning", "portcheck: 3000 unknown"),
        ("warning", "portcheck: not seen"),
        ("error", "portcheck: undeclared"),
        ("warning", "portcheck: perhaps undeclared"),
    ]
    assert told[0][2] == "Nobody listens on port 8000."
    assert told[3][2] == "0.0.0.0:9999: db (PID 7, db)"
    levels = [each.name for each in commands(list(github.verify_commands(report(only=False))))]
    assert levels == ["error", "warning", "warning", "notice"]


@given(names)
def test_no_name_makes_github_obey_more(name: str) -> None:
    usual, odd = (commands(list(github.verify_commands(report(each)))) for each in ("db", name))
    assert [(each.name, list(each.properties)) for each in odd] == [
        (each.name, list(each.properties)) for each in usual
    ]


def test_junit() -> None:
    cases = read_back(junit.verify_lines(report()))
    assert {case.name: [type(result) for result in case.result] for case in cases} == {
        "db 127.0.0.1:5432 (line 1)": [],
        "web 8000 (line 1)": [Failure],
        "api 3000 (line 1)": [Error],
        "off 8001 (line 1)": [],
        "debug 9229 (line 20)": [Skipped],
        "db (line 10)": [Skipped],
        "0.0.0.0:9999": [Failure],
        "0.0.0.0:4000": [Error],
    }
    alone = {
        case.name: [type(result) for result in case.result]
        for case in read_back(junit.verify_lines(report(only=False)))
    }
    assert (alone["0.0.0.0:9999"], alone["0.0.0.0:4000"]) == ([Skipped], [Skipped])


@given(names)
def test_junit_reads_any_name(name: str) -> None:
    assert len(read_back(junit.verify_lines(report(name)))) == 8


@pytest.mark.parametrize(
    ("answers", "code"),
    [([], 0), ([True], 0), ([True, None], 3), ([None, False], 1), ([False], 1)],
)
def test_the_exit_codes(answers: list[bool | None], code: int) -> None:
    assert exit_codes.of_verify(answers) == code


def test_what_counts() -> None:
    whole = report()
    assert whole.answers(strict=False) == [True, False, None, True, False, None]
    assert whole.answers(strict=True)[-1] is None
    assert report(only=False).answers(strict=False) == [True, False, None, True]
    nothing = whole._replace(findings=(), only=False)
    assert nothing.answers(strict=False) == [None]  # nothing else was declared
