"""Declarations held against hand-made scenes."""

from __future__ import annotations

from typing import Any

from portcheck.model import PortRange, Process, Scene, Socket
from portcheck.preflight.declarations import Declaration, Expected, Unresolved
from portcheck.preflight.judge import Project
from portcheck.target import EVERY, Endpoint, parse_host
from portcheck.verification.judge import Asked, Finding, Look, judge
from portcheck.verification.survey import VerifyReport
from portcheck.verification.undeclared import Undeclared, undeclared
from support.declared import PROJECT, NoNames, composed, declared
from support.scenes import diagnosis, listener, process, scene


def expecting(port: int, service: str = "web", **fields: Any) -> Declaration:
    """A port of portcheck.toml, with the keys that say by whom."""
    whom: dict[str, Any] = {
        key: fields.pop(key) for key in ("process", "user", "container", "optional") if key in fields
    }
    if "unit" in fields:
        whom["service"] = fields.pop("unit")
    return declared(port, service, expected=Expected(**whom), **fields)


def asked(seen: Scene, declaration: Declaration) -> list[Asked]:
    host = EVERY if declaration.host is None else parse_host(declaration.host, NoNames())
    return [
        Asked(
            declaration,
            diagnosis(seen, Endpoint(declaration.target(port), declaration.protocol, port, (host,))),
            host,
        )
        for port in (declaration.port, *declaration.fallback)
    ]


def look(
    seen: Scene,
    *declarations: Declaration,
    allowed: tuple[Declaration, ...] = (),
    optional: tuple[Declaration, ...] = (),
    project: Project = PROJECT,
) -> Look:
    permitted = [each for declaration in allowed for each in asked(seen, declaration)]
    off = [each for declaration in optional for each in asked(seen, declaration)]
    return Look(seen, project, [asked(seen, declaration) for declaration in declarations], off, permitted)


def findings(seen: Scene, *declarations: Declaration, **more: Any) -> tuple[Finding, ...]:
    return judge(look(seen, *declarations, **more))


def faults(seen: Scene, *declarations: Declaration, **more: Any) -> list[list[str]]:
    """For each declaration the codes of what is wrong; a `?` before what could not be told."""
    return [
        [("" if fault.certain else "?") + fault.code for fault in finding.faults]
        for finding in findings(seen, *declarations, **more)
    ]


def beside(seen: Scene, *declarations: Declaration, **more: Any) -> Undeclared:
    return undeclared(look(seen, *declarations, **more))


def udp(address: str = "0.0.0.0", port: int = 53, **fields: Any) -> Socket:
    return listener(address, port, state=None, **fields)._replace(protocol="udp")


def report(name: str = "db", *, only: bool = True) -> VerifyReport:
    """One of everything; `name` stands wherever a stranger has a say."""
    stranger = process(7, name, command=(name,), user=name, executable=name)
    hidden = Process(0, user=name, uid=1000)
    seen = scene(
        listener("127.0.0.1", 5432, pids=(7,)),
        listener(port=9999, pids=(7,), inode=8),
        listener(port=3000, pids=None, inode=9, user=name, uid=1000),
        listener(port=4000, pids=None, inode=10, user="root", uid=0),
        udp(port=4500, pids=(7,), inode=11),
        udp(port=5353, pids=(7,), inode=12),
        processes=(stranger,),
        hidden={9: hidden, 10: Process(0, user="root", uid=0)},
    )
    seen = seen._replace(policy=seen.policy._replace(ephemeral=PortRange(4000, 5000)))
    whole = look(
        seen,
        expecting(5432, name, process=name, host="127.0.0.1"),
        expecting(8000, "web"),
        expecting(3000, "api", process=name),
        expecting(8001, "off", optional=True),
        allowed=(expecting(5353, "allow", protocol="udp"),),
    )
    return VerifyReport(
        ("portcheck.toml", name),
        judge(whole),
        undeclared(whole),
        seen,
        only,
        (composed(9229, "debug", 20, compose_profiles=(name,), enabled=False),),
        (Unresolved("variable", f"{name} is not set", "compose.yaml", 10, name),),
    )
