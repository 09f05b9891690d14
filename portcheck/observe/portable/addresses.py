"""This host's own addresses and interfaces, as psutil and the C library tell them."""

from __future__ import annotations

from portcheck import lean_socket as socket
from portcheck.addresses import parse_address
from portcheck.errors import PortcheckError
from portcheck.model import LocalAddress


def addresses() -> tuple[LocalAddress, ...]:
    """Every address of every interface, loopback included.  Raises PortcheckError without psutil."""
    try:
        import psutil
    except ModuleNotFoundError:
        from portcheck.observe.ourselves import install_hint

        raise PortcheckError(
            "the addresses of this host's interfaces are not told here, and psutil is not installed",
            f"{install_hint('psutil')}, or run portcheck outside of the sandbox or container",
        ) from None

    return tuple(
        LocalAddress(address.text, address.family, interface)
        for interface, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6) and (address := parse_address(entry.address))
    )


def interface_names() -> tuple[str, ...]:
    """if_nameindex(3): works without addresses and without privilege."""
    try:
        return tuple(name for _, name in socket.if_nameindex())
    except OSError:
        return ()
