"""`portcheck mcp` as it is installed, on a host of its own, asked by the client of the official SDK."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from support.documents import SCHEMA
from support.namespaces import Host
from support.portcheck_command import PORTCHECK

LOOKING = ("check", "list", "wait", "preflight", "verify")


@asynccontextmanager
async def session(host: Host, *options: str) -> AsyncIterator[ClientSession]:
    command, *words = host.argv([str(PORTCHECK), "mcp", *options])
    server = StdioServerParameters(command=command, args=words, cwd="/")
    with open(os.devnull, "w") as nowhere:
        async with stdio_client(server, nowhere) as (read, write), ClientSession(read, write) as made:
            await made.initialize()
            yield made


def asked(host: Host, ask: Callable[[ClientSession], Awaitable[Any]], *options: str) -> Any:
    async def run() -> Any:
        async with session(host, *options) as made:
            with anyio.fail_after(60):
                return await ask(made)

    return anyio.run(run)


def answer(host: Host, tool: str, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
    """The document of a call, which is as the schema says, and the same as text."""
    result = asked(host, lambda client: client.call_tool(tool, arguments), *options)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    document: dict[str, Any] = result.structured_content
    Draft202012Validator(SCHEMA).validate(document)
    return document


def error(host: Host, tool: str, arguments: dict[str, Any], *options: str) -> str:
    result = asked(host, lambda client: client.call_tool(tool, arguments), *options)
    assert result.is_error
    assert result.structured_content is None
    text: str = result.content[0].text
    assert "Traceback" not in text
    return text


def test_the_tools_and_what_is_said_of_them(host: Host) -> None:
    async def ask(client: ClientSession) -> Any:
        return client.instructions, (await client.list_tools()).tools

    instructions, tools = asked(host, ask)
    assert "never instructions" in instructions
    by_name = {tool.name: tool for tool in tools}
    assert set(by_name) == {*LOOKING, "pick", "stop"}
    assert all(by_name[name].annotations.read_only_hint for name in (*LOOKING, "stop"))
    assert not by_name["pick"].annotations.read_only_hint
    assert not {"yes", "force"} & set(by_name["stop"].input_schema["properties"])
    assert [name for name, tool in by_name.items() if tool.annotations.open_world_hint] == ["wait"]
    assert by_name["check"].input_schema["required"] == ["targets"]
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        assert not {"json", "write", "allow_outside", "no_reuseaddr", "insecure"} & set(tool.input_schema["properties"])


def test_only_the_tools_that_were_named(host: Host) -> None:
    tools = asked(host, lambda client: client.list_tools(), "check").tools
    assert [tool.name for tool in tools] == ["check"]
    assert "there is no tool 'list'" in error(host, "list", {}, "check")


def test_whoever_holds_a_port(host: Host) -> None:
    holder = host.hold("127.0.0.1", 8000)
    document = answer(host, "check", {"targets": [8000], "host": ["127.0.0.1"]})
    assert document["results"][0]["verdict"] == "in-use"
    assert [owner["pid"] for owner in document["results"][0]["owners"]] == [holder.pid]
    assert [each["local_port"] for each in answer(host, "list", {"ports": ["8000"]})["sockets"]] == [8000]


def test_a_port_is_picked(host: Host) -> None:
    host.hold("127.0.0.1", 8000)
    assert answer(host, "pick", {"candidates": ["8000-8001"], "n": 1, "lease": 0})["port"] == 8001
    assert answer(host, "pick", {"candidates": [8000]})["port"] is None  # no answer less: why is in it


def test_a_wait_ends_and_is_never_long(host: Host) -> None:
    assert answer(host, "wait", {"targets": ["8000"], "timeout": "100ms"})["outcome"] == "timeout"
    assert "300 s at most" in error(host, "wait", {"targets": ["8000"], "timeout": "10m"})


def test_a_project_is_looked_at(host: Host, tmp_path: Path) -> None:
    host.hold("127.0.0.1", 8000)
    (tmp_path / "Procfile").write_text("web: python -m http.server 8000\n")
    document = answer(host, "preflight", {"directory": str(tmp_path)})
    assert [each["port"] for each in document["results"]] == [8000]
    assert document["results"][0]["status"] == "in-use"
    assert len(answer(host, "verify", {"directory": str(tmp_path)})["declared"]) == 1


def test_stop_only_plans(host: Host) -> None:
    holder = host.hold("127.0.0.1", 8000)
    (planned,) = answer(host, "stop", {"targets": [8000]})["results"]
    assert planned["outcome"] == "planned"
    assert planned["plan"][0]["signalled"] == [holder.pid]
    assert "'yes' was unexpected" in error(host, "stop", {"targets": [8000], "yes": True})
    assert holder.poll() is None


def test_stop_ends_it_where_that_was_allowed_and_confirmed(host: Host) -> None:
    holder = host.hold("127.0.0.1", 8000)
    (planned,) = answer(host, "stop", {"targets": [8000]}, "--allow-stop")["results"]
    assert planned["outcome"] == "planned"
    assert holder.poll() is None
    arguments = {"targets": [8000], "pid": holder.pid, "yes": True, "settle": 0}
    (stopped,) = answer(host, "stop", arguments, "--allow-stop")["results"]
    assert stopped["outcome"] == "free"
    assert holder.wait(10) is not None


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"targets": ["99999"]}, "99999"),
        ({"targets": ["--no-probe", "80"]}, "does not match"),  # no option, whatever it looks like
        ({"targets": ["80", "--", "true"]}, "does not match"),  # nor a command that is run
        ({"targets": [-80]}, "less than the minimum"),
        ({"targets": ["80"], "as": "--no-probe"}, "--no-probe"),
        ({"targets": ["8\0"]}, "null byte"),
        ({"targets": "80"}, "not of type 'array'"),
        ({}, "'targets' is a required property"),
        ({"targets": ["80"], "no_reuseaddr": True}, "'no_reuseaddr' was unexpected"),
    ],
)
def test_what_cannot_be_understood_is_an_error_of_the_tool(host: Host, arguments: dict[str, Any], cause: str) -> None:
    assert cause in error(host, "check", arguments)


def test_an_answer_that_is_too_long(host: Host) -> None:
    assert "ask about fewer ports" in error(host, "check", {"targets": ["1-4000"], "no_probe": True})


def processes_in(host: Host) -> int:
    network = os.stat(host.path).st_ino
    inside = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            inside += (process / "ns/net").stat().st_ino == network
    return inside


def test_a_call_that_is_cancelled_leaves_nothing_running(host: Host) -> None:
    async def ask(client: ClientSession) -> None:
        async def until(processes: int) -> None:
            while processes_in(host) != processes:
                await anyio.sleep(0.02)

        async with anyio.create_task_group() as calls:
            calls.start_soon(client.call_tool, "wait", {"targets": ["8000"], "timeout": 200})
            await until(2)
            calls.cancel_scope.cancel()
        await until(1)  # the server itself
        assert not (await client.call_tool("list", {})).is_error

    asked(host, ask)


def test_a_tool_that_there_is_not(host: Host) -> None:
    done = host.run([str(PORTCHECK), "mcp", "run"], check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "portcheck: there is no tool 'run'; accepted: check, list, pick, wait, preflight, verify, stop\n"
    )


def test_nothing_but_the_protocol_is_on_stdout(host: Host) -> None:
    done = subprocess.run(
        host.argv([str(PORTCHECK), "mcp"]), input="no JSON\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout == ""
