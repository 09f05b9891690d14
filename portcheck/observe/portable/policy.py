"""Privileged ports on macOS, the BSDs and other Unixes without Linux's settings."""

from __future__ import annotations

import os

from portcheck.model import PortPolicy
from portcheck.observe.system import PLATFORM

IPPORT_RESERVED = 1024


def unix_policy() -> PortPolicy:
    """Ports below 1024 are root's, as everywhere since 4.2BSD.

    On macOS (10.14 and later) only for concrete addresses: in_pcbbind and in6_pcbbind check the privilege
    PRIV_NETINET_RESERVEDPORT unless the address is the wildcard.  Elsewhere others than root may have the privilege
    too (FreeBSD's mac_portacl, illumos' net_privaddr), so of them it is not known.
    """
    root = os.geteuid() == 0
    if PLATFORM == "macos":
        return PortPolicy(IPPORT_RESERVED, privileged=root, wildcards_exempt=True)
    return PortPolicy(IPPORT_RESERVED, privileged=True if root else None)
