"""What looking needs of `socket`, without importing it.

`socket` makes enumerations of all its constants and imports `selectors` for what nobody here uses: 6 ms, more than half
of `python3 -c pass`.  Below it is `_socket`, on which it is built: the same functions, the constants as plain
integers, and sockets that only lack a `with` block.  A type checker sees the real module.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import *  # noqa: F403
else:
    import _socket
    from _socket import *  # noqa: F403

    class socket(_socket.socket):  # noqa: N801 - its name
        """A socket that leaving a `with` block closes."""

        __slots__ = ()

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.close()
