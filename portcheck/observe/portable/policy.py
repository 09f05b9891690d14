"""Privileged ports on the BSDs and other Unixes without Linux's settings."""

from __future__ import annotations

import os

from portcheck.model import PortPolicy

IPPORT_RESERVED = 1024


def unix_policy() -> PortPolicy:
    """Ports below 1024 are root's, as everywhere since 4.2BSD.

    Others than root may have the privilege too (FreeBSD's mac_portacl, illumos' net_privaddr), so of them it is not
    known.
    """
    return PortPolicy(IPPORT_RESERVED, privileged=True if os.geteuid() == 0 else None)
