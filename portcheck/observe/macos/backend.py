"""macOS: psutil, lsof and launchd (see `observe.back_end`)."""

from __future__ import annotations

import os

from portcheck.model import PortPolicy
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.portable import sockets as by_psutil
from portcheck.observe.portable.backend import Portable
from portcheck.observe.portable.policy import IPPORT_RESERVED

if TYPE_CHECKING:
    from portcheck.model import Scene


class MacOS(Portable):
    """Sees other users' processes as root alone."""

    differences = by_psutil.MACOS

    def recognised(self, scene: Scene) -> Scene:
        """By launchd's jobs."""
        from portcheck.observe.macos import launchd

        return launchd.recognised(scene)

    def policy(self) -> PortPolicy:
        """Since 10.14 only concrete addresses need root below 1024.

        in_pcbbind and in6_pcbbind check the privilege PRIV_NETINET_RESERVEDPORT unless the address is the wildcard.
        """
        return PortPolicy(IPPORT_RESERVED, privileged=os.geteuid() == 0, wildcards_exempt=True)
