"""The server, on the official SDK, which speaks on stdin and stdout.

Each call is a portcheck of its own: it can be cancelled at any time, several run side by side, and whatever it prints
or dies of, the protocol on stdout stays whole.
"""

from __future__ import annotations

from portcheck.errors import SPEAKER, PortcheckError, UsageError
from portcheck.mcp_server.tools import INSTRUCTIONS, Tool
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.ourselves import called, install_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NEEDS = "mcp needs the MCP SDK in version 2.3 or later, and Python 3.10 or later"
MOST_BYTES = 1 << 22  # of an answer: more is nothing that an agent could read
CHUNK = 1 << 16
LONGEST_COMPLAINT = 2000  # characters


def serve(tools: Mapping[str, Tool]) -> None:
    """Serves until stdin ends.  Raises PortcheckError where there is no SDK."""
    try:
        import anyio
        import mcp_types as types
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
    except ImportError:
        # Nothing at all of the SDK, or its first version, whose names are others
        raise PortcheckError(NEEDS, install_hint("mcp", "mcp")) from None
    program = called(absolute=True)

    async def list_tools(_context: Any, _params: Any) -> Any:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    description=tool.description,
                    input_schema=tool.schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=tool.only_looks,
                        destructive_hint=tool.ends_processes,
                        open_world_hint=tool.reaches_out,
                    ),
                )
                for name, tool in tools.items()
            ]
        )

    async def call_tool(_context: Any, params: Any) -> Any:
        try:
            text, document = await _answer(program, tools, params.name, params.arguments or {})
        except PortcheckError as error:
            lines = [error.cause, *([f"→ {error.remedy}"] if error.remedy else [])]
            return types.CallToolResult(content=[types.TextContent(text="\n".join(lines))], is_error=True)
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=document)

    server = Server("portcheck", instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool)

    async def until_the_end() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(until_the_end)


async def _answer(
    program: tuple[str, ...], tools: Mapping[str, Tool], name: str, arguments: Mapping[str, Any]
) -> tuple[str, Any]:
    """The document of a call, as text too.  Raises PortcheckError for everything that is none."""
    import json

    tool = tools.get(name)
    if tool is None:
        raise UsageError(f"there is no tool '{name}'; accepted: {', '.join(tools)}")
    _refuse_what_it_does_not_take(tool, arguments)
    try:
        out, err = await _outputs((*program, *tool.line(arguments)))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in an argument
        raise PortcheckError(f"{name} cannot be run: {error}") from None
    text = out.decode("utf-8", "replace").strip()
    if not text:  # a document comes with every answer, whatever the exit code
        raise _complaint(err.decode("utf-8", "replace"))
    return text, json.loads(text)


def _refuse_what_it_does_not_take(tool: Tool, arguments: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(tool.schema).iter_errors(arguments))
    if error is not None:
        place = f" (in {'.'.join(map(str, error.path))})" if error.path else ""
        arguments_taken = ", ".join(tool.schema["properties"])
        raise UsageError(f"{error.message[:LONGEST_COMPLAINT]}{place}", f"it takes {arguments_taken}")


async def _outputs(argv: tuple[str, ...]) -> tuple[bytes, bytes]:
    """What the command writes to stdout and stderr.  A call that is cancelled ends it."""
    import anyio

    outputs = (bytearray(), bytearray())
    async with await anyio.open_process(argv) as process:

        async def read(stream: Any, into: bytearray) -> None:
            async for written in stream:
                into.extend(written[: MOST_BYTES + 1 - len(into)])

        async with anyio.create_task_group() as reading:
            reading.start_soon(read, process.stdout, outputs[0])
            reading.start_soon(read, process.stderr, outputs[1])
    if len(outputs[0]) > MOST_BYTES:
        raise PortcheckError("the answer is too long to be handed over", "ask about fewer ports")
    return bytes(outputs[0]), bytes(outputs[1])


def _complaint(stderr: str) -> PortcheckError:
    """What a command says on stderr: the cause, and what to do about it."""
    _, _, told = f"\n{stderr}".partition(f"\n{SPEAKER}")
    cause, _, advised = told[:LONGEST_COMPLAINT].strip().partition("\n  → ")
    return PortcheckError(cause or "the command ended without an answer", advised or None)
