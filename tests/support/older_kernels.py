"""This kernel as if it were one before Linux 6.8, which does not list TCP sockets that are bound without listening."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portcheck.observe.linux import sock_diag

NO_STATE = 1 << 31  # a state that no kernel knows
NEVER = (1 << 31,)  # a release that no kernel has


@contextmanager
def bound_only_hidden() -> Iterator[None]:
    """In this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sock_diag, "BOUND_ONLY", NO_STATE)
        patched.setattr(sock_diag, "_FIRST_WITH_BOUND_ONLY", NEVER)
        sock_diag.sees_bound_only.cache_clear()
        try:
            yield
        finally:
            sock_diag.sees_bound_only.cache_clear()


def hides_bound_only(directory: Path) -> dict[str, str]:
    """The environment in which a portcheck of its own process sees such a kernel; `directory` is for the test alone."""
    (directory / "sitecustomize.py").write_text(
        "from portcheck.observe.linux import sock_diag\n"
        f"sock_diag.BOUND_ONLY, sock_diag._FIRST_WITH_BOUND_ONLY = {NO_STATE}, {NEVER}\n"
    )
    return {"PYTHONPATH": str(directory)}
