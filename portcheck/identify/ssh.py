"""What an ssh client forwards, by its command line (ssh(1))."""

from __future__ import annotations

from portcheck.identify.arguments import Arguments, parse
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

# OpenSSH's own getopt string (ssh.c): the letters that take a value.
SHORT = "BbcDEeFIiJLlmOopPQRSWw"


class LocalForward(NamedTuple):
    """A port that the client listens on; `target` None is a SOCKS proxy (-D)."""

    port: int | None  # None: a Unix socket
    target: str | None
    address: str | None = None


def forwards(command: Sequence[str], ports: Collection[int]) -> str:
    """`db:5432 through bastion`, for these local ports; what ssh_config(5) forwards is only `a port`."""
    arguments = read(command)
    through = arguments.rest[0] if arguments.rest else None
    targets = dict.fromkeys(_told(forward) for forward in local_forwards(arguments) if forward.port in ports)
    what = ", ".join(targets) or "a port"
    return f"{what} through {through}" if through else what


def read(command: Sequence[str]) -> Arguments:
    """ssh takes options after the host too; the operands are the host and the remote command."""
    before = parse(command[1:], SHORT)
    after = parse(before.rest[1:], SHORT)
    return Arguments(before.options + after.options, before.rest[:1] + after.rest)


def local_forwards(arguments: Arguments) -> Iterator[LocalForward]:
    """-L, -D and their spellings as `-o LocalForward=...`; -R listens on the other side."""
    for option, value in arguments.options:
        keyword, given = (option, value or "") if option != "-o" else _keyword(value or "")
        if keyword in ("-L", "localforward"):
            yield _local(given)
        elif keyword in ("-D", "dynamicforward"):
            *address, port = _fields(given)
            yield LocalForward(_port(port), None, address[0] if address else None)


def _keyword(option: str) -> tuple[str, str]:
    """`LocalForward=8080 db:80`, `LocalForward 8080 db:80`: keyword and value."""
    keyword, _, value = option.replace("=", " ", 1).strip().partition(" ")
    return keyword.lower(), value.strip().replace(" ", ":")


def _local(text: str) -> LocalForward:
    """[bind_address:]port:host:hostport, [bind_address:]port:/socket, /socket:host:hostport."""
    fields = _fields(text)
    target = fields[-1:] if "/" in fields[-1] else fields[-2:]
    before = fields[: len(fields) - len(target)]
    address = before[-2] if len(before) > 1 else None
    return LocalForward(_port(before[-1]) if before else None, ":".join(target), address)


def _fields(text: str) -> list[str]:
    """Split at colons outside of brackets."""
    fields, depth = [""], 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == ":" and depth <= 0:
            fields.append("")
        else:
            fields[-1] += character
    return fields


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else None


def _told(forward: LocalForward) -> str:
    return forward.target or "any address (SOCKS)"
