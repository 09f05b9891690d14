"""Answers of as many hosts as one likes, made up, the same each time."""

from __future__ import annotations

import random
from typing import Any

NAMES = ("nginx.service", "postgres", "node", "java", "redis", "shop-web-1", "prometheus", "envoy")
GONE = "Failed to connect to the host via ssh: ssh: connect to host 192.0.2.9 port 22: Connection timed out"
SHARES = {"free": 0.88, "in-use": 0.09, "denied": 0.01, "unknown": 0.01, "unavailable": 0.01}


def answers(hosts: int, ports: int) -> dict[str, dict[str, Any]]:
    """What check registers on hosts, of which a few cannot be reached."""
    chance = random.Random(hosts * ports)
    asked = [22, 53, 80, 443, *range(8000, 8000 + ports - 4)]
    return {
        f"web-{number:04d}.eu-west.example.net": {"unreachable": True, "msg": GONE}
        if number % 25 == 3
        else {"results": [result(port, chance) for port in asked]}
        for number in range(hosts)
    }


def result(port: int, chance: random.Random) -> dict[str, Any]:
    (verdict,) = chance.choices(list(SHARES), list(SHARES.values()))
    name = chance.choice(NAMES)
    spot = {"code": "owner-hidden", "message": "the process cannot be seen", "remedy": "ask as root"}
    return {
        "port": port,
        "protocol": "udp" if port == 53 else "tcp",
        "host": None,
        "verdict": verdict,
        "message": f"Port {port} is {verdict}: {name} (PID {chance.randrange(400, 60000)}, root, since 09:00).",
        "blind_spots": [spot] if verdict == "unknown" else [],
        "owners": [{"name": name, "user": "root"}] if verdict == "in-use" else [],
    }
