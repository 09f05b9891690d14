"""portcheck's JSON documents, as a script reads them: nothing that the package's schema does not describe."""

from __future__ import annotations

import json
from importlib.resources import files
from subprocess import CompletedProcess
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = json.loads(files("portcheck").joinpath("schema.json").read_text(encoding="utf-8"))


def stop_results(text: str) -> list[dict[str, Any]]:
    """The ports of a document of `stop`."""
    document = json.loads(text)
    for schema in (SCHEMA, {"$ref": "#/$defs/stop", "$defs": SCHEMA["$defs"]}):
        Draft202012Validator(schema).validate(document)
    found: list[dict[str, Any]] = document["results"]
    return found


def told(done: CompletedProcess[str], code: int) -> dict[str, Any]:
    """What `stop` told of its one port, exiting with this code."""
    (found,) = stop_results(done.stdout)
    assert done.returncode == code, (found["message"], done.stderr)
    return found


def steps(found: dict[str, Any]) -> list[dict[str, Any]]:
    """How the plan goes about it: the commands, and who is signalled first."""
    return [{"command": step["command"], "signalled": step["signalled"]} for step in found["plan"]]


def ending(found: dict[str, Any]) -> dict[int, str]:
    """Who ends by the plan: what part each PID has in it."""
    return {process["pid"]: process["role"] for step in found["plan"] for process in step["processes"]}


def commands(found: dict[str, Any]) -> list[list[str]]:
    """The command lines of the advice."""
    return [advice["command"] for advice in found["advice"] if advice["command"]]
