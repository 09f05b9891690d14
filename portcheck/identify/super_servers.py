"""inetd and its like: they listen for programs, and start one of them for each connection.  Pure."""

from __future__ import annotations

from portcheck.identify.argv import parse
from portcheck.identify.names import names
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.model import Process

# Where each has the line for a port, if its arguments do not say.
FILES: Mapping[str, str] = {
    "inetd": "/etc/inetd.conf",
    "inetutils-inetd": "/etc/inetd.conf",
    "xinetd": "/etc/xinetd.conf",
}


def super_server(process: Process) -> str | None:
    """Its name, if this process is one; busybox has an inetd too."""
    applet = set((process.command or ())[1:2]) if "busybox" in names(process) else set()
    return next((name for name in FILES if name in names(process) | applet), None)


def services_file(process: Process) -> str | None:
    """The file with the line that makes it listen: `inetd -i /srv/inetd.conf`, `xinetd -f /srv/xinetd.conf`."""
    name, command = super_server(process), process.command or ()
    if name is None:
        return None
    if name == "xinetd":  # which spells its options as words with one dash
        given = command[command.index("-f") + 1 :][:1] if "-f" in command else ()
    else:
        given = parse([word for word in command[1:] if word != name], "aqpRe").rest[:1]
    return given[0] if given else FILES[name]
