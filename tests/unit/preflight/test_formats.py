"""Text, JSON, GitHub's annotations and JUnit's XML, each read back by a parser that is not ours."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import Error, Failure, Skipped
from support.declared import composed, declared, found, held, own, report
from support.formats import NASTY, Command, commands, read_back
from support.scenes import scene

from portcheck.preflight.declarations import PreflightError
from portcheck.preflight.judge import PreflightReport
from portcheck.render import github, junit
from portcheck.render.json_documents import dumps, preflight_document
from portcheck.render.preflight import text

names = st.sampled_from(NASTY) | st.text(min_size=1, max_size=12).filter(lambda name: name != "web")


# text


def test_text_has_a_line_for_each_port_then_what_to_do_then_the_sum() -> None:
    lines = list(text(report()))
    assert lines[:8] == [
        "compose.yaml:4    web    8000             declared twice   also by api (line 9)",
        "compose.yaml:9    api    8000             declared twice   also by web (line 4)",
        "compose.yaml:14   db     127.0.0.1:5432   in-use           db (PID 7)",
        "portcheck.toml:2  db     9000-9002        free as 9001     9000 is in-use: db (PID 7)",
        "db:1              -      3000             already running  node (PID 812)",
        "portcheck.toml:3  app    192.0.2.99:8080  unavailable      no address of this host",
        "compose.yaml:20   debug  9229             not checked      profile db is off",
        "",
    ]
    assert lines[8:10] == [
        "compose.yaml:4 web: api (line 9) declares port 8000 too: whichever starts second fails.",
        "  → give one of the two another port",
    ]
    assert sum("declares port 8000 too" in line for line in lines) == 1
    assert "compose.yaml:14 db: Port 5432 is in use: db (PID 7, db, " in "\n".join(lines)
    assert "not seen: compose.yaml:10 db: db is not set" in lines
    assert lines[-1] == (
        "6 declared ports: 2 declared twice, 1 in-use, 1 free, 1 already running, 1 unavailable;"
        " 2 entries could not be resolved."
    )


def test_a_range_reads_as_one() -> None:
    assert columns(declared(8000, fallback=(8001, 8002)))[2] == "8000-8002"
    assert columns(declared(8000, fallback=(9000,)))[2] == "8000,9000"
    assert (
        columns(declared(8000, fallback=(9000, 9005, 9010, 9015), host="::1"))[2] == "[::1]:8000,9000,9005 and 2 more"
    )
    assert columns(declared(53, protocol="udp"))[2] == "53/udp"


def columns(*declarations: Any) -> list[str]:
    findings = found(scene(), *declarations)
    return re.split(r"  +", next(iter(text(PreflightReport(("a",), findings)))))


def test_what_is_left_open_alone_still_reads_well() -> None:
    unresolved = report().unresolved[1:]
    assert list(text(PreflightReport(("db",), (), (), unresolved))) == [
        "not seen: db:1: db",
        "",
        "no port is declared for certain; 1 entry could not be resolved.",
    ]


def test_a_process_in_the_place_of_a_container_is_noted() -> None:
    findings = found(held(8000, own()), composed(8000))
    assert "\n  note: a process of the project has the port" in "\n".join(
        text(PreflightReport(("compose.yaml",), findings))
    )


@given(names)
def test_text_is_harmless_on_a_screen(name: str) -> None:
    assert all(line.isprintable() for line in text(report(name)))


# JSON

SCHEMA: dict[str, Any] = json.loads(files("portcheck").joinpath("schema.json").read_text())


@given(names)
def test_json_is_as_the_schema_says(name: str) -> None:
    document = json.loads(dumps(preflight_document(report(name))))
    Draft202012Validator({"$ref": "#/$defs/preflight", "$defs": SCHEMA["$defs"]}).validate(document)
    Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_has_every_key_that_is_told() -> None:
    document = preflight_document(report())
    properties = {name: set(entry.get("properties", ())) for name, entry in SCHEMA["$defs"].items()}
    assert set(document) == properties["preflight"]
    assert set(document["results"][0]) == properties["result"] | properties["declaration"] | properties["finding"]
    assert set(document["disabled"][0]) == properties["not_asked"] | properties["declaration"]
    assert set(document["blind_spots"][0]) == properties["blind_spot"] | properties["place"]
    for name in ("preflight", "place", "declaration", "finding", "not_asked"):
        assert set(SCHEMA["$defs"][name]["required"]) == properties[name]


def test_json_says_where_and_what() -> None:
    document = preflight_document(report())
    web, _, db, flexible, env, app = document["results"]
    assert (web["status"], web["verdict"], web["rival"]) == (
        "declared-twice", "free", {"file": "compose.yaml", "line": 9, "service": "api"},
    )  # fmt: skip
    assert (db["file"], db["line"], db["service"], db["target"]) == ("compose.yaml", 14, "db", "127.0.0.1:5432")
    assert (db["status"], db["host"], db["compose_project"]) == ("in-use", "127.0.0.1", "shop")
    assert (flexible["status"], flexible["fallback"], flexible["instead"]["port"]) == ("fallback", [9001, 9002], 9001)
    assert (env["status"], env["verdict"], env["owners"][0]["pid"]) == ("running", "in-use", 812)
    assert (app["status"], app["notes"]) == ("unavailable", [{"code": "declared", "message": "db"}])
    assert web["advice"] == [{"text": "give one of the two another port", "command": None}]
    assert document["complete"] is False
    assert [each["code"] for each in document["blind_spots"]] == ["variable", "syntax"]
    assert document["disabled"][0]["compose_profiles"] == ["db"]


# GitHub: the runner's grammar of workflow commands, written from its documentation and the toolkit's unescaping


def test_github_annotates_the_line_of_each_problem() -> None:
    found = commands(list(github.commands(report())))
    assert [(each.name, each.properties["file"], each.properties["line"]) for each in found] == [
        ("error", "compose.yaml", "4"),
        ("error", "compose.yaml", "9"),
        ("error", "compose.yaml", "14"),
        ("error", "portcheck.toml", "3"),
        ("warning", "compose.yaml", "10"),
        ("warning", "db", "1"),
    ]
    assert found[2].properties["title"] == "portcheck: 127.0.0.1:5432 in-use"
    assert found[2].data.startswith("Port 5432 is in use: db (PID 7, db, ")
    assert found[4].data == "db: db is not set"


def test_github_warns_of_what_could_not_be_told_and_of_what_is_in_the_way() -> None:
    (finding,) = found(scene(), declared(80))
    unknown = finding._replace(status="unknown", diagnosis=finding.diagnosis._replace(verdict="unknown"))
    running = found(held(8000, own()), composed(8000))
    levels = [each.name for each in commands(list(github.commands(PreflightReport((), (unknown, *running)))))]
    assert levels == ["warning", "error"]


@given(names)
def test_no_name_makes_github_obey_more(name: str) -> None:
    usual, odd = commands(list(github.commands(report()))), commands(list(github.commands(report(name))))
    assert [(each.name, list(each.properties)) for each in odd] == [
        (each.name, list(each.properties)) for each in usual
    ]
    assert [each.properties["line"] for each in odd] == [each.properties["line"] for each in usual]


@given(
    st.lists(st.sampled_from(["%", "%0A", "%25", "%3A", "25", "0A", "=", ":", ",", "\r", "\n"]), max_size=5).map(
        "".join
    )
)
def test_github_escapes_can_be_undone(value: str) -> None:
    (found,) = commands([github.command("error", "f", None, "t", value)])
    assert found == Command("error", {"file": "f", "title": "t"}, value)
    (found,) = commands([github.command("error", "f", 7, value, "m")])
    assert found.properties == {"file": "f", "line": "7", "title": value}


# JUnit, by PyPI's junitparser


def test_junit_has_a_case_for_each_declared_port() -> None:
    cases = read_back(junit.document(report()))
    told = {case.name: [type(result) for result in case.result] for case in cases}
    assert told == {
        "web 8000 (line 4)": [Failure],
        "api 8000 (line 9)": [Failure],
        "db 127.0.0.1:5432 (line 14)": [Failure],
        "debug 9229 (line 20)": [Skipped],
        "db (line 10)": [Skipped],
        "db 9000 (line 2)": [],
        "app 192.0.2.99:8080 (line 3)": [Failure],
        "- 3000 (line 1)": [],
        "- (line 1)": [Skipped],
    }
    by_name = {case.name: case for case in cases}
    db = by_name["db 127.0.0.1:5432 (line 14)"]
    (failure,) = db.result
    assert (db.classname, db._elem.get("file"), db._elem.get("line")) == ("compose.yaml", "compose.yaml", "14")
    assert (failure.type, failure.message[:21]) == ("in-use", "Port 5432 is in use: ")
    assert failure.text.startswith(failure.message)
    assert by_name["- 3000 (line 1)"].system_out == "already running: node (PID 812)"


def test_junit_calls_what_could_not_be_told_an_error() -> None:
    (finding,) = found(scene(), declared(80))
    unknown = finding._replace(status="unknown", diagnosis=finding.diagnosis._replace(verdict="unknown"))
    (case,) = read_back(junit.document(PreflightReport(("a",), (unknown,))))
    assert [type(result) for result in case.result] == [Error]


@given(names)
def test_any_name_makes_well_formed_xml(name: str) -> None:
    usual, odd = read_back(junit.document(report())), read_back(junit.document(report(name)))
    assert len(odd) == len(usual)
    assert all(line.isascii() for line in junit.document(report(name)))


@given(names)
def test_a_file_that_cannot_be_read_is_told_by_both(name: str) -> None:
    error = PreflightError(name, 3, f"broken {name}")
    (command,) = commands([github.failure(error)])
    assert (command.name, command.properties["line"]) == ("error", "3")
    (case,) = read_back(junit.failure(error))
    assert [type(result) for result in case.result] == [Error]
