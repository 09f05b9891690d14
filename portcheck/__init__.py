"""portcheck: can my server listen here; if not, who has the port, why, and what do I do now?

    >>> import portcheck
    >>> portcheck.check("127.0.0.1:80").verdict

Everything is imported when it is first used: `import portcheck` alone costs nothing and imports none of psutil, rich
and typer.
"""

# Nothing is imported here, not even `__future__`: whoever interrupts the command line while this loads would see where.
TYPE_CHECKING = False  # as in namedtuple

if TYPE_CHECKING:
    from typing import Any

    from portcheck.api import check as check
    from portcheck.api import check_all as check_all
    from portcheck.api import choose as choose
    from portcheck.api import listeners as listeners
    from portcheck.api import pick as pick
    from portcheck.api import reserve as reserve
    from portcheck.api import wait as wait
    from portcheck.api import wait_async as wait_async
    from portcheck.chooser import NoFreePort as NoFreePort
    from portcheck.errors import PortcheckError as PortcheckError
    from portcheck.errors import UsageError as UsageError
    from portcheck.model import Diagnosis as Diagnosis
    from portcheck.model import Socket as Socket
    from portcheck.reservation import Reservation as Reservation
    from portcheck.waiting.loop import WaitFailed as WaitFailed

__version__ = "0.1.0"

_HOME = {
    "check": "api",
    "check_all": "api",
    "choose": "api",
    "listeners": "api",
    "pick": "api",
    "reserve": "api",
    "Reservation": "reservation",
    "wait": "api",
    "wait_async": "api",
    "NoFreePort": "chooser",
    "PortcheckError": "errors",
    "UsageError": "errors",
    "WaitFailed": "waiting.loop",
    "Diagnosis": "model",
    "Socket": "model",
}
__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 - the names are strings


def __getattr__(name: str) -> "Any":
    """Imports a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'portcheck' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"portcheck.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
