"""How this very portcheck was called, and what installed it: for commands that work where they are pasted."""

from __future__ import annotations

import os
import sys

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DISTRIBUTION = "whyport"  # what installers call this project: `portcheck` is another one's on PyPI
PROGRAM = "portcheck"
NAMES = (PROGRAM, DISTRIBUTION)  # the commands that are installed: one program, whatever it is called by
# What scripts/build puts into portcheck-full.pyz: all that needs no compiler.
IN_THE_FULL_FILE = ("PyYAML", "python-dotenv", "rich", "tomli")
DEBIAN = "/usr/lib/python3/dist-packages/"
OF_DEBIAN = {
    "PyYAML": "python3-yaml",
    "python-dotenv": "python3-dotenv",
    "psutil": "python3-psutil",
    "tomli": "python3-tomli",
}
# A script that starts portcheck for its user (scripts/portcheck) says here how it was called itself.
CALLED_AS = "PORTCHECK_CALLED_AS"
_called_as = os.environ.pop(CALLED_AS, None)  # for us alone: not for what `run` starts


def as_called(command: Sequence[str]) -> tuple[str, ...]:
    """A command of ours as it has to be typed here: sudo has a PATH of its own, and takes an absolute path."""
    if PROGRAM not in command:
        return tuple(command)
    place = command.index(PROGRAM)
    return (*command[:place], *called(absolute=command[0] == "sudo"), *command[place + 1 :])


def program() -> str:
    """Which of our names we were called by."""
    name = os.path.basename(_called_as or sys.argv[0]).removesuffix(".exe")
    return name if name in NAMES else PROGRAM


def in_our_name(text: str) -> str:
    """What tells how portcheck is to be called, with the name that it was called by."""
    return text.replace(f"{PROGRAM} ", f"{program()} ")


def called(*, absolute: bool = False) -> tuple[str, ...]:
    """How portcheck was called; by its name alone where it was imported by another program."""
    by = _called_as or sys.argv[0]
    name = os.path.basename(by)
    if name == "__main__.py" and os.path.basename(os.path.dirname(by)) == PROGRAM:
        return (_typed(sys.executable, absolute=absolute), "-m", PROGRAM)
    if name.endswith(".pyz"):
        typed = _typed(by, absolute=absolute)
        return (typed,) if os.access(by, os.X_OK) else (_typed(sys.executable, absolute=absolute), typed)
    if name.removesuffix(".exe") not in NAMES:
        return (PROGRAM,)
    return (_typed(by, absolute=absolute),)


def _typed(path: str, *, absolute: bool) -> str:
    """The name alone where the PATH leads there, else the path as it is."""
    if absolute:
        return os.path.abspath(path)
    name = os.path.basename(path)
    found = _on_path(name)
    if found and os.path.realpath(found) == os.path.realpath(path):
        return name
    return path if os.path.dirname(path) else os.path.join(os.curdir, path)


def _on_path(name: str) -> str | None:
    """What a shell would start by that name."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    files = (os.path.join(folder, name) for folder in folders if folder)
    return next((file for file in files if os.access(file, os.X_OK) and os.path.isfile(file)), None)


def install_hint(package: str, extra: str | None = None) -> str:
    """What brings a missing package (of an extra of ours) to the Python that runs, whatever put us there."""
    if package in IN_THE_FULL_FILE and not os.path.exists(__file__):  # it is in an archive
        return "portcheck-full.pyz has it"
    if package in OF_DEBIAN and __file__.startswith(DEBIAN):
        return f"sudo apt install {OF_DEBIAN[package]}"
    wanted = f'"{DISTRIBUTION}[{extra}]"' if extra else DISTRIBUTION
    return f"{_installer(sys.prefix)} {wanted}"


def _installer(prefix: str) -> str:
    python = _typed(sys.executable, absolute=False)
    if os.path.isfile(os.path.join(prefix, "pipx_metadata.json")):
        return "pipx install --force"
    if os.path.isfile(os.path.join(prefix, "uv-receipt.toml")):
        return "uv tool install --force"
    if _is_made_by_uv(prefix):  # which puts no pip into it
        return f"uv pip install --python {python}"
    if prefix == sys.base_prefix and _is_managed_by_the_system():  # PEP 668: pip refuses
        return "pipx install"
    return f"{python} -m pip install"


def _is_made_by_uv(prefix: str) -> bool:
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as settings:
            return any(line.startswith("uv =") for line in settings)
    except (OSError, ValueError):
        return False


def _is_managed_by_the_system() -> bool:
    return os.path.isfile(os.path.join(os.path.dirname(os.__file__), "EXTERNALLY-MANAGED"))
