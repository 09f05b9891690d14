"""The git worktree that this process works in."""

from __future__ import annotations

import os


def worktree() -> str:
    """Its top directory: the nearest one above the working directory with a `.git`, which is a file in those that git
    has added; the working directory itself where there is none.
    """
    here = os.path.realpath(os.curdir)
    folder = here
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above
    return folder
