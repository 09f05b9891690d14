from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.examples import (
    EXAMPLES,
    HOSTILE,
    STARTED,
    diagnosis,
    httpd_everywhere,
    listener,
    unknown_owner,
)
from support.generated import diagnoses, vocabulary

from portcheck.chooser import Choice, PortNote
from portcheck.model import BlindSpot, Diagnosis, Owner, Process, Socket
from portcheck.render.json_documents import check_chunks, list_document, pick_document

SCHEMA: dict[str, Any] = json.loads(files("portcheck").joinpath("schema.json").read_text())
# The contract's keys, in its order: what a reader of the JSON may count on.
RESULT = """target protocol port host verdict cause message complete blind_spots binds sockets connections
    owners notes answers advice"""
BIND = """address interface family v6only outcome with_reuseaddr without_reuseaddr error method blocked_by
    shadows"""
SOCKET = """protocol family local_address local_port remote_address remote_port state interface v6only user
    uid pids queue backlog expires_in"""
OWNER = "pid name user command cwd started_at parent_pid role service container sockets"


def validator(definition: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]})


def validate(document: dict[str, Any], definition: str) -> None:
    """Against its own definition, which names what is wrong, and against the whole schema."""
    validator(definition).validate(document)
    Draft202012Validator(SCHEMA).validate(document)


def printed(diagnoses: Iterable[Diagnosis]) -> str:
    return "".join(check_chunks(diagnoses))


def check_document(diagnoses: Iterable[Diagnosis]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(printed(diagnoses))
    return document


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_valid(name: str) -> None:
    validate(check_document([EXAMPLES[name]()]), "check")


def test_keys_are_the_contracts_in_its_order() -> None:
    told = httpd_everywhere().to_dict()
    assert list(told) == RESULT.split()
    assert list(told["binds"][0])[: len(BIND.split())] == BIND.split()
    assert list(told["sockets"][0])[: len(SOCKET.split())] == SOCKET.split()
    assert list(told["owners"][0])[: len(OWNER.split())] == OWNER.split()


@pytest.mark.parametrize(
    "definition", ["check", "pick", "list", "watch", "result", "bind", "socket", "owner", "answer"]
)
def test_every_key_is_required(definition: str) -> None:
    entry = SCHEMA["$defs"][definition]
    assert entry["required"] == list(entry["properties"])


def test_the_schema_has_every_key_that_is_told() -> None:
    properties = {name: list(entry.get("properties", ())) for name, entry in SCHEMA["$defs"].items()}
    told = EXAMPLES["two_owners"]().to_dict()
    assert properties["result"] == list(told)
    assert properties["bind"] == list(told["binds"][0])
    assert properties["socket"] == list(told["sockets"][0])
    assert properties["owner"] == list(told["owners"][0])
    assert properties["container"] == list(told["owners"][1]["container"])
    assert properties["answer"] == list(told["answers"][0])


@pytest.mark.parametrize(
    ("definition", "key", "words"),
    [
        ("result", "verdict", "Verdict"),
        ("result", "cause", "Cause"),
        ("bind", "method", "Method"),
        ("socket", "state", "State"),
    ],
)
def test_the_schemas_words_are_the_models(definition: str, key: str, words: str) -> None:
    enumerated = SCHEMA["$defs"][definition]["properties"][key]["enum"]
    assert [word for word in enumerated if word is not None] == vocabulary(words)


@pytest.mark.parametrize("words", ["Protocol", "Family", "Outcome"])
def test_the_schemas_shared_words_are_the_models(words: str) -> None:
    assert SCHEMA["$defs"][words.lower()]["enum"] == vocabulary(words)


@pytest.mark.parametrize(
    ("change", "keyword"),
    [
        ({"verdict": "taken"}, "enum"),
        ({"cause": "gremlins"}, "enum"),
        ({"port": 0}, "minimum"),
        ({"message": None}, "type"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any], keyword: str) -> None:
    document = check_document([diagnosis()])
    document["results"][0].update(change)
    (error,) = validator("check").iter_errors(document)
    assert (error.validator, list(error.absolute_path)) == (keyword, ["results", 0, *change])


def test_the_schema_misses_what_is_left_out() -> None:
    for key in RESULT.split():
        document = check_document([diagnosis()])
        del document["results"][0][key]
        (error,) = validator("check").iter_errors(document)
        assert error.validator == "required"
        assert set(error.validator_value) - set(error.instance) == {key}


@settings(max_examples=60)
@given(st.lists(diagnoses(), max_size=2))
def test_any_diagnoses_are_valid_utf8_json(found: list[Diagnosis]) -> None:
    text = printed(found)
    document = json.loads(text.encode(), parse_constant=pytest.fail)  # no NaN, no Infinity
    json.dumps(document, ensure_ascii=False).encode()  # no lone surrogate behind an escape
    validate(document, "check")
    assert document["results"] == [one.to_dict() for one in found]


def test_a_document_is_one_line_of_ascii() -> None:
    text = printed([EXAMPLES["hostile"]()]).removesuffix("\n")
    assert text.isascii()
    assert text.isprintable()
    assert "\n" not in text


def test_strangers_text_arrives_whole() -> None:
    told = check_document([EXAMPLES["hostile"]()])["results"][0]
    assert told["owners"][0]["name"] == HOSTILE.replace("\udcff", "\ufffd")


def test_complete_means_every_result() -> None:
    assert check_document([diagnosis(), diagnosis()])["complete"] is True
    assert check_document([diagnosis(), unknown_owner()])["complete"] is False


def test_an_owner_known_only_by_service_has_no_pid() -> None:
    told = unknown_owner().to_dict()["owners"][0]
    assert (told["pid"], told["name"], told["service"], told["user"]) == (None, None, "nginx.service", "root")


def test_what_is_not_known_is_null() -> None:
    told = Owner(7, Process(7), ()).to_dict()
    assert {key for key, value in told.items() if value not in (None, [])} == {"pid"}


def test_times_are_utc() -> None:
    assert Owner(7, Process(7, started_at=STARTED), ()).to_dict()["started_at"] == "2026-11-19T09:00:00Z"


@pytest.mark.parametrize("impossible", [float("nan"), float("inf"), 1e300])
def test_a_time_that_no_calendar_has_is_null(impossible: float) -> None:
    assert Owner(7, Process(7, started_at=impossible), ()).to_dict()["started_at"] is None


def test_a_container_is_an_object() -> None:
    told = EXAMPLES["two_owners"]().to_dict()["owners"][1]["container"]
    assert (told["engine"], told["name"], told["compose_service"], told["pod"]) == (
        "docker",
        "web",
        "web",
        None,
    )


def test_unreadable_flags_are_not_told() -> None:
    told = EXAMPLES["time_wait"]().to_dict()["sockets"][0]
    assert told["expires_in"] == 42.6
    assert told.keys().isdisjoint({"reuseaddr", "reuseport", "minisocket"})


def test_pick() -> None:
    candidates = [httpd_everywhere(), diagnosis(8001), diagnosis(8002)]
    note = PortNote("unsafe-in-browsers", "browsers refuse it", 8001)
    document = pick_document(Choice((8001, 8002), tuple(candidates), (note,)))
    validate(document, "pick")
    assert (document["port"], document["ports"]) == (8001, [8001, 8002])
    assert document["notes"] == [{"code": "unsafe-in-browsers", "message": "browsers refuse it", "port": 8001}]
    assert [candidate["port"] for candidate in document["candidates"]] == [80, 8001, 8002]


def test_pick_of_nothing() -> None:
    document = pick_document(Choice((), (httpd_everywhere(),)))
    validate(document, "pick")
    assert (document["port"], document["ports"]) == (None, [])


def test_list() -> None:
    sockets = [listener("::", 80, 382), Socket("udp", "ipv4", "0.0.0.0", 53, pids=None)]
    spot = BlindSpot("owner-hidden", "the holder of 0.0.0.0:53 cannot be seen")
    document = list_document(sockets, [Owner(382, Process(382, name="httpd"), (0,))], [spot])
    validate(document, "list")
    assert document["complete"] is False
    assert document["blind_spots"][0]["remedy"] is None
    assert [socket["pids"] for socket in document["sockets"]] == [[382], None]
    assert list_document(sockets, [], [])["complete"] is True


def test_json_is_imported_for_json_only() -> None:
    code = "import sys, portcheck.render.plain, portcheck.render.stream, portcheck.render.json_documents as d; "
    code += "print([name for name in ('json', 'rich', 'datetime', 're', 'typing') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
