"""What is left to see where the kernel's own socket list (sock_diag) is not to be had, and why it is not."""

from __future__ import annotations

import os
from errno import EACCES, EAFNOSUPPORT, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EPROTONOSUPPORT

from portcheck.model import OUTSIDE, BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procnet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import PortRange, Protocol, SocketTable
    from portcheck.observe.back_end import Depth

LIST = "the kernel's own socket list (sock_diag)"
SEEN_INSTEAD = "; /proc/net is read instead, which does not show the device that a socket is bound to"
# How a kernel says that it has no such list: no module for all of it, for either request, for a protocol.
NO_MODULE = (EPROTONOSUPPORT, EOPNOTSUPP, ENOENT)
# How a sandbox does: seccomp, a security module, systemd's RestrictAddressFamilies=.
FORBIDDEN = (EPERM, EACCES, EAFNOSUPPORT, ENOSYS)
# What gVisor tells as its version, whichever release of Linux it claims to be.
GVISOR = "#1 SMP Sun Jan 10 15:06:54 PST 2016"


def table(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth, refusal: OSError) -> SocketTable:
    """By /proc/net, or by psutil where there is no such /proc; the first blind spot says why.  Never raises."""
    try:
        found, instead = procnet.table(protocol, ports, depth), SEEN_INSTEAD
    except OSError:
        from portcheck.observe.portable import sockets as by_psutil

        found, instead = by_psutil.table(protocol, ports, depth, by_psutil.LINUX), ""
    release = os.uname()
    return found._replace(blind_spots=(reason(refusal, release.release, release.version, instead), *found.blind_spots))


def reason(refusal: OSError, release: str, version: str, instead: str = "") -> BlindSpot:
    """Why sock_diag is not to be had, and what helps; `release` and `version` are uname(2)'s."""
    system, remedy = _other_system(release, version)
    error = refusal.strerror or str(refusal)
    if system:
        message = f"{system} has no sock_diag ({error})"
    elif refusal.errno in NO_MODULE:
        message = f"{LIST} is not loaded here ({error})"
        remedy = "modprobe tcp_diag udp_diag, as root of this machine"
    elif refusal.errno in FORBIDDEN:
        message, remedy = f"{LIST} is refused here, as sandboxes do: {error}", OUTSIDE
    else:
        message, remedy = f"{LIST} cannot be read here: {error}", None
    return BlindSpot("netlink-refused", message + instead, remedy)


def _other_system(release: str, version: str) -> tuple[str, str | None]:
    """What plays Linux here, and where its sockets show; nothing where it seems to be Linux itself."""
    if release.endswith("-Microsoft"):  # WSL 2 is a Linux kernel, ...-microsoft-standard-WSL2
        return "WSL 1", "run portcheck in Windows itself"
    if version == GVISOR:
        return "gVisor", OUTSIDE
    if "FreeBSD" in version:
        return "FreeBSD's Linux emulation", "run portcheck in FreeBSD itself"
    if "BrandZ" in version:
        return "illumos's Linux emulation", "run portcheck in illumos itself"
    return "", None
