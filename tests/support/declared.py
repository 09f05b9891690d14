"""Declarations made by hand, and a host that they are asked of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from portcheck.addresses import Address
from portcheck.model import BindRequest, Container, Diagnosis, Probe, Process, Scene, Socket
from portcheck.preflight.check import PUBLISHER
from portcheck.preflight.declarations import Declaration, Unresolved
from portcheck.preflight.judge import Finding, PreflightReport, Project, judge
from portcheck.profiles import server_for
from portcheck.target import EVERY, Endpoint, parse_host
from support.scenes import NOON, diagnosis, kernel_of, listener, process, scene

if TYPE_CHECKING:
    from portcheck.preflight.judge import Look

HERE = "/home/ann/shop"
PROJECT = Project((HERE,), frozenset({"shop"}))


class NoNames:
    def service(self, name: str, protocol: Any) -> int | None:
        return None

    def interfaces(self) -> tuple[str, ...]:
        return ("lo", "eth0")

    def resolve(self, host: str) -> tuple[Address, ...]:
        return (Address("ipv6", "::1"), Address("ipv4", "127.0.0.1")) if host == "localhost" else ()


def declared(port: int, service: str | None = "web", line: int = 1, **fields: Any) -> Declaration:
    known: dict[str, Any] = {"protocol": "tcp", "host": None, "file": "portcheck.toml", "kind": "portcheck"}
    return Declaration(port, line=line, service=service, **{**known, **fields})


def composed(port: int, service: str = "web", line: int = 1, **fields: Any) -> Declaration:
    known = {"file": "compose.yaml", "kind": "compose", "compose_project": "shop"}
    return declared(port, service, line, **{**known, **fields})


def own(pid: int = 812, **fields: Any) -> Process:
    return process(pid, "node", **{"cwd": HERE, **fields})


def container(service: str = "web", project: str = "shop") -> Process:
    labels = Container("docker", "4c01", f"{project}-{service}-1", "x", project, service)
    return process(99, "docker-proxy", role="proxy", cwd="/", container=labels)


def held(port: int, by: Process | None = None, address: str = "0.0.0.0", **fields: Any) -> Scene:
    """A host on which one process (a stranger's) listens."""
    holder = by or process(7, "postgres", cwd="/var/lib")
    return scene(listener(address, port, pids=(holder.pid,)), processes=(holder,), **fields)


def look_at(seen: Scene) -> Look:
    kernel = kernel_of(seen)

    def probe(request: BindRequest) -> Probe:
        absent = request.address in seen.absent
        return Probe("not-available", "EADDRNOTAVAIL") if absent else kernel(request)

    def look(declaration: Declaration) -> Iterator[Diagnosis]:
        server = PUBLISHER if declaration.kind == "compose" else server_for(declaration.profile)
        host = EVERY if declaration.host is None else parse_host(declaration.host, NoNames())
        for port in (declaration.port, *declaration.fallback):
            asked = Endpoint(declaration.target(port), declaration.protocol, port, (host,))
            yield diagnosis(seen, asked, server=server, probe=probe)

    return look


def found(seen: Scene, *declarations: Declaration, project: Project = PROJECT) -> tuple[Finding, ...]:
    return judge(declarations, look_at(seen), project)


def statuses(seen: Scene, *declarations: Declaration) -> list[str]:
    return [finding.status for finding in found(seen, *declarations)]


def time_wait(port: int) -> Socket:
    return Socket("tcp", "ipv4", "127.0.0.1", port, "127.0.0.1", 40001, "TIME-WAIT", pids=(), expires_in=42.0)


def report(name: str = "db") -> PreflightReport:
    """One of everything; `name` stands wherever a stranger has a say."""
    stranger = process(7, name, cwd="/var/lib", command=(name,), user=name)
    mine = own(812)
    seen = scene(
        listener("127.0.0.1", 5432, pids=(7,)), listener(port=9000, pids=(7,)), listener(port=3000, pids=(812,)),
        processes=(stranger, mine), absent=("192.0.2.99",),
    )  # fmt: skip
    findings = found(
        seen,
        composed(8000, "web", 4),
        composed(8000, "api", 9),
        composed(5432, name, 14, host="127.0.0.1"),
        declared(9000, name, 2, fallback=(9001, 9002)),
        declared(3000, None, 1, file=name, kind="env"),
        declared(8080, "app", 3, host="192.0.2.99", note=name),
    )
    return PreflightReport(
        ("compose.yaml", "portcheck.toml", name),
        findings,
        (composed(9229, "debug", 20, compose_profiles=(name,), enabled=False),),
        (Unresolved("variable", f"{name} is not set", "compose.yaml", 10, name), Unresolved("syntax", name, name, 1)),
    )


__all__ = [
    "HERE", "NOON", "PROJECT", "composed", "container", "declared", "found", "held", "look_at", "own", "report",
    "statuses", "time_wait",
]  # fmt: skip
