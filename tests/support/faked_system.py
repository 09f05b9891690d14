"""Another operating system as far as it can be faked in a process of its own.

psutil's own Python layer for that system runs, over a C extension of ours that tells of a small machine; the modules,
signals and functions that the system lacks are gone.  Sockets, files and programs are still this machine's: nothing
that is shown this way has run on macOS, Windows or FreeBSD.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

# What Python lacks on Windows, as far as anything here might want it.
NOT_ON_WINDOWS = {
    "os": "fork geteuid getgid getpgid getsid getuid killpg O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK"
    " pidfd_open setsid sysconf uname waitpid WNOHANG",
    "signal": "pidfd_send_signal pthread_sigmask SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGXFSZ sigwaitinfo",
    "socket": "AF_NETLINK AF_PACKET AF_UNIX SO_BINDTODEVICE SO_REUSEPORT",
    "time": "clock_gettime CLOCK_BOOTTIME",
}
NOT_ON_MACOS = {
    "os": "pidfd_open",
    "signal": "pidfd_send_signal sigtimedwait sigwaitinfo",
    "socket": "AF_NETLINK AF_PACKET SO_BINDTODEVICE",
}
SYSTEMS: dict[str, dict[str, Any]] = {
    "macos": {"platform": "darwin", "extension": "osx", "without": NOT_ON_MACOS, "modules": []},
    "freebsd": {"platform": "freebsd14", "extension": "bsd", "without": NOT_ON_MACOS, "modules": []},
    "windows": {
        "platform": "win32",
        "extension": "windows",
        "without": NOT_ON_WINDOWS,
        "modules": ["fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"],
    },
}

PREAMBLE = r"""
import asyncio, ctypes, importlib, importlib.metadata, inspect, json, os, pathlib, pkgutil, platform, plistlib, random
import shlex, shutil, signal, socket, subprocess, sys, tempfile, time, types, typing, urllib.parse, zlib, zoneinfo
import typer, rich.console, rich.table, rich.progress

class Extension(types.ModuleType):
    # any constant is a number of its own, any function returns nothing
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = zlib.crc32(name.encode()) if name[0].isupper() else lambda *_: None
        setattr(self, name, value)
        return value

system = json.loads(sys.argv[1])
sys.platform = system["platform"]
for module in system["modules"]:
    sys.modules[module] = None
for module, names in system["without"].items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
c = Extension("psutil._psutil_" + system["extension"])
c.version = int(importlib.metadata.version("psutil").replace(".", ""))
c.ZombieProcessError = type("ZombieProcessError", (Exception,), {})
sys.modules[c.__name__] = c
"""
# psutil takes some functions of its extension, and their answers, when it is imported.
IMPORT_PSUTIL = r"""
if sys.platform == "win32":
    os.name = "nt"
    import psutil
    os.name = "posix"
else:
    import psutil
STATES = {word: number for number, word in psutil._psplatform.TCP_STATUSES.items()}

def tell(value):
    print("TOLD" + json.dumps(value))
"""


def run(system: str, code: str, *, machine: str = "c.boot_time = float") -> Any:
    """What the code gives to `tell`, in a process that takes itself for this system.

    `machine` gives the extension `c` its functions, before psutil is imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}\n{machine}\n{IMPORT_PSUTIL}\n{code}", json.dumps(SYSTEMS[system])],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "platform" in done.stderr and "is not supported" in done.stderr:
        pytest.skip("this psutil does not bring its Python layer for other systems")
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD")]
    assert lines, done.stderr
    return json.loads(lines[-1].removeprefix("TOLD"))


IMPORT_ALL = """
import portcheck
failed = {}
for module in pkgutil.walk_packages(portcheck.__path__, "portcheck."):
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed[module.name] = repr(error)
tell(failed)
"""
