"""The texts of /proc, as servers and kernels write them."""

from __future__ import annotations

import os
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("/proc is Linux's", allow_module_level=True)

from portcheck.observe.linux.cgroups import find_hierarchy
from portcheck.observe.linux.processes import full_name, read_cgroup, read_command


@pytest.mark.parametrize(
    ("cmdline", "command"),
    [
        (None, None),
        (b"", ()),
        (b"node\0server.js\0", ("node", "server.js")),
        (b"node\0\0-e\0", ("node", "", "-e")),
        # setproctitle: one text, cut where the arguments ended, or padded with zeros
        (b"nginx: master process /usr/sbin/nginx", ("nginx: master process /usr/sbin/nginx",)),
        (b"postgres: checkpointer \0\0\0\0\0", ("postgres: checkpointer ",)),
        (b"\0", ("",)),
        (b"caf\xe9\0", ("caf\udce9",)),
    ],
)
def test_command(cmdline: bytes | None, command: tuple[str, ...] | None) -> None:
    assert read_command(cmdline) == command


@pytest.mark.parametrize(
    ("name", "paths", "full"),
    [
        ("node", ("/usr/bin/nodejs",), "node"),  # short enough to be whole
        ("NetworkManager-", ("/usr/bin/NetworkManager-dispatcher",), "NetworkManager-dispatcher"),
        ("fifteen-letters", ("/bin/other", "/bin/fifteen-letters-and-more"), "fifteen-letters-and-more"),
        ("fifteen-letters", ("/bin/other", ""), "fifteen-letters"),
        ("fifteen-letters", (), "fifteen-letters"),
        # 15 bytes, not 15 letters
        (os.fsdecode("éééééééé".encode()[:15]), ("/bin/éééééééé",), "éééééééé"),
        ("ééééééé", ("/bin/éééééééx",), "ééééééé"),
    ],
)
def test_full_name(name: str, paths: tuple[str, ...], full: str) -> None:
    assert full_name(name, paths) == full


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (None, None),
        (b"", None),
        (b"0::/system.slice/nginx.service\n", "/system.slice/nginx.service"),
        (b"0::/\n", "/"),
        # hybrid: the unified hierarchy says nothing, the others do
        (b"11:memory:/docker/0123\n1:name=systemd:/docker/0123\n0::/\n", "/docker/0123"),
        (b"2:cpu:/\n1:name=systemd:/user.slice\n0::/init.scope\n", "/init.scope"),
        # version 1 alone: systemd's own hierarchy knows the unit
        (b"12:cpu:/batch\n3:name=systemd:/system.slice/cron.service\n", "/system.slice/cron.service"),
        (b"0::/odd:name\n", "/odd:name"),
        # whoever makes cgroups chooses their names, and only \n is none of their letters
        (b"0::/a\rb\x0b\x0c\x1c\x85c.service\n", "/a\rb\x0b\x0c\x1c\udc85c.service"),
        ("0::/a\u2028b\n".encode(), "/a\u2028b"),
    ],
)
def test_cgroup(text: bytes | None, path: str | None) -> None:
    assert read_cgroup(text) == path


UNIFIED = b"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    b"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    b"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
CONTAINER = b"712 711 0:27 /docker/0123 /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"
SPACES = rb"1 2 0:27 / /mnt/a\040b\134c rw shared:1 master:2 - cgroup2 none rw"


@pytest.mark.parametrize(
    ("mountinfo", "place"),
    [
        (UNIFIED, ("/sys/fs/cgroup", "/")),
        (HYBRID, ("/sys/fs/cgroup/unified", "/")),
        (CONTAINER, ("/sys/fs/cgroup", "/docker/0123")),
        (SPACES, ("/mnt/a b\\c", "/")),
        (HYBRID.splitlines()[0], None),
        (b"", None),
    ],
)
def test_where_cgroups_are(mountinfo: bytes, place: tuple[str, str] | None) -> None:
    assert find_hierarchy(mountinfo) == place
