"""portcheck mcp [TOOL]...: the other commands, for agents and editors."""

from __future__ import annotations

import sys

from portcheck import exit_codes
from portcheck.errors import PortcheckError
from portcheck.mcp_server.server import serve
from portcheck.mcp_server.tools import offered
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.ourselves import program
from portcheck.render import stream

if TYPE_CHECKING:
    from portcheck.requests import McpRequest


def run(request: McpRequest) -> int:
    """Serves until stdin ends, and returns 0; stdout is the protocol's alone."""
    tools = offered(request.tools, may_stop=request.allow_stop)
    if sys.stdin is None or sys.stdout is None:
        raise PortcheckError("mcp speaks on stdin and stdout, and one of them is closed")
    if stream.is_terminal(sys.stdin):
        stream.say([f"{program()} mcp is for agents and editors to start; Ctrl-C ends it"], sys.stderr, request.color)
    serve(tools)
    return exit_codes.DONE
