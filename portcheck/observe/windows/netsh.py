"""What netsh prints, read without its words: they are localized, and in the code page of a console.

Only numbers, addresses, URLs and rulers of dashes are looked at.  An output without them is None, "not known": some
shells and Wine have a netsh that prints nothing and succeeds, which is not "there is nothing".
"""

from __future__ import annotations

import os

from portcheck.identify.windows import PortProxy, RequestQueue
from portcheck.model import Exclusion, PortRange
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.subprocesses import NoAnswerError, Patience, ask
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Family, PortPolicy, Protocol


_SCHEMES = ("HTTP://", "HTTPS://")


def excluded_ranges(text: str) -> tuple[PortRange, ...] | None:
    """`netsh int ipv4 show excludedportrange tcp`: the ranges that refuse a bind; None for what is no such table.

    A range that an administrator has set aside is marked with * and refuses nobody who asks for a port in it by its
    number: it keeps Hyper-V's away from a port that is to be bound (https://github.com/googlevr/gvr-unity-sdk/issues/1002).
    """
    rows = [line.split() for line in text.split("\n")]
    if not any(_is_ruler(row) for row in rows):
        return None
    pairs = [(number(row[0]), number(row[1])) for row in rows if len(row) == 2]
    return tuple(PortRange(first, last) for first, last in pairs if first is not None and last is not None)


def _is_ruler(row: list[str]) -> bool:
    return bool(row) and all(set(word) == {"-"} for word in row)


def port_proxies(text: str) -> tuple[PortProxy, ...]:
    """`netsh interface portproxy show all`: nothing at all where there is no rule.

    Above each table stand two families: `Listen on ipv4:             Connect to ipv6:`.
    """
    proxies = []
    direction = "v4tov4"
    for line in text.split("\n"):
        row = line.split()
        families = [word.strip(":").lower() for word in row if word.strip(":").lower() in ("ipv4", "ipv6")]
        if len(families) == 2:
            direction = "to".join(family.removeprefix("ip") for family in families)
        elif len(row) == 4 and (port := number(row[1])) is not None and number(row[3]) is not None:
            target = f"[{row[2]}]" if ":" in row[2] else row[2]
            proxies.append(PortProxy(direction, row[0], port, f"{target}:{row[3]}"))
    return tuple(proxies)


def request_queues(text: str) -> tuple[RequestQueue, ...] | None:
    """`netsh http show servicestate view=requestq`; None for what is no such list.

    A queue begins with the only line that is not indented and has a value.  Its processes are lines of a number alone,
    or (Windows 10 and later) `ID: 2688, image: C:\\...`; its URLs begin with HTTP:// or HTTPS://.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if not any(_is_ruler(line.split()) for line in lines):
        return None
    return tuple(_queue(block) for block in _blocks(lines))


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        if line[:1].strip() and _value(line):
            if block:
                yield block
            block = [line]
        elif block:
            block.append(line.strip())
    if block:
        yield block


def _queue(block: list[str]) -> RequestQueue:
    name = _value(block[0])
    values = [_value(line) for line in block[1:]]
    return RequestQueue(
        None if name.endswith(".") else name,  # `Request queue is unnamed.`: a sentence, in any language
        tuple(pid for line in block[1:] if (pid := _process_id(line))),
        frozenset(port for line in block[1:] if line.upper().startswith(_SCHEMES) and (port := _port(line))),
        tuple(count for value in values if (count := number(value)) is not None),
    )


def _value(line: str) -> str:
    """What stands behind the first colon (a full-width one in Chinese and Japanese)."""
    return line.replace("\uff1a", ":").partition(":")[2].strip()


def _process_id(line: str) -> int | None:
    return number(_value(line).partition(",")[0] if "," in line else line)


def _port(url: str) -> int | None:
    """`HTTP://+:80/`, `HTTPS://*:443:192.0.2.7/`, `HTTP://[::1]:8080/`"""
    authority = url.partition("://")[2].partition("/")[0]
    port = authority.rpartition("]")[2].split(":")[1:2]
    return number(port[0]) if port else None


PATIENCE = 3.0  # seconds


def with_exclusions(policy: PortPolicy, protocols: Sequence[Protocol], families: Sequence[Family]) -> PortPolicy:
    """The policy with the excluded ranges of these protocols, or that they could not be read."""
    patience = Patience(PATIENCE)
    for protocol in protocols:
        by_family = [_exclusions(protocol, family, patience) for family in families]
        exclusions_read = tuple(exclusion for exclusions in by_family for exclusion in exclusions or ())
        policy = policy._replace(
            excluded=(*policy.excluded, *exclusions_read),
            exclusions={**policy.exclusions, protocol: None not in by_family},
        )
    return policy


def _exclusions(protocol: Protocol, family: Family, patience: Patience) -> list[Exclusion] | None:
    text = _netsh(("interface", family, "show", "excludedportrange", f"protocol={protocol}"), patience)
    ranges = None if text is None else excluded_ranges(text)
    return None if ranges is None else [Exclusion(protocol, family, ports) for ports in ranges]


def queues() -> tuple[RequestQueue, ...] | None:
    """http.sys' request queues; None where they cannot be read."""
    text = _netsh(("http", "show", "servicestate", "view=requestq"), Patience(PATIENCE))
    return None if text is None else request_queues(text)


def proxy_rules() -> tuple[PortProxy, ...]:
    """The rules of the port proxy (IP Helper); none where there are none, or they cannot be read."""
    text = _netsh(("interface", "portproxy", "show", "all"), Patience(PATIENCE))
    return port_proxies(text or "")


def _netsh(arguments: Sequence[str], patience: Patience) -> str | None:
    """What it prints; None where it fails.  Always Windows' own, not one that lies in the current directory."""
    program = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "netsh.exe")
    try:
        answer = ask((program, *arguments), patience)
    except NoAnswerError:
        return None
    return answer.out if answer.ok else None
