"""Fixtures that every test can use."""

from __future__ import annotations

from rigs.docker_engine import docker_engine
from rigs.systemd_host import systemd_host, systemd_root

__all__ = ["docker_engine", "systemd_host", "systemd_root"]
