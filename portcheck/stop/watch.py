"""How a port stands while it is being freed: diagnosed in full only where what holds it has changed."""

from __future__ import annotations

from portcheck.diagnosis.pipeline import checks
from portcheck.identify.holders import serves
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.snapshot import fingerprint, listening_or_bound

if TYPE_CHECKING:
    from collections.abc import Collection

    from portcheck.model import Diagnosis, Socket
    from portcheck.target import Endpoint


class Watch:
    """Looks at one port again and again, and knows its latest diagnosis."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.diagnosis = self.look()

    def look(self) -> Diagnosis:
        """Diagnoses the port in full."""
        # The table comes first: what changes between the two is noticed at the next glance.
        return self._diagnosed(listening_or_bound([self._endpoint]))

    def glance(self) -> Diagnosis:
        """The latest diagnosis, renewed where the table of sockets shows that it may be out of date."""
        table = listening_or_bound([self._endpoint])
        return self.diagnosis if self._is_current(table) else self._diagnosed(table)

    def _diagnosed(self, table: Collection[Socket]) -> Diagnosis:
        self._fingerprint = fingerprint(table)
        self.diagnosis = next(checks([self._endpoint]))
        return self.diagnosis

    def _is_current(self, table: Collection[Socket]) -> bool:
        """Only where every holder shows in the table, by the inode of its socket, and is still the same.

        Without inodes (Windows, macOS) a server and its successor look alike.
        """
        sockets = self.diagnosis.sockets
        holding = {sockets[index].inode for index in range(len(sockets)) if serves(self.diagnosis, index)}
        inodes = {socket.inode for socket in table}
        return all(inodes) and holding <= inodes and fingerprint(table) == self._fingerprint
