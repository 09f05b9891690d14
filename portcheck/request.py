"""What a command line asks for, as values: the quick way in and typer both end here."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    Face = Literal["auto", "plain", "json"]


class CheckRequest(NamedTuple):
    """portcheck TARGET..."""

    targets: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    udp: bool = False
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None  # --as
    face: Face = "auto"
    quiet: bool = False
    verbose: bool = False
    color: bool = True


class PickRequest(NamedTuple):
    """portcheck pick CANDIDATE..."""

    candidates: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    udp: bool = False
    count: int = 1
    random: bool = False
    any: bool = False
    exclude: tuple[str, ...] = ()
    stable: str | None = None
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None
    json: bool = False


class ListRequest(NamedTuple):
    """portcheck list [PORT|RANGE]..."""

    ports: tuple[str, ...] = ()
    tcp: bool = False
    udp: bool = False
    all: bool = False
    user: str | None = None
    pid: int | None = None
    name: str | None = None
    pids: bool = False
    face: Face = "auto"
    color: bool = True
