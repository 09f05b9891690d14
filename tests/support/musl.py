"""A Python with musl instead of glibc, as Alpine has it: CPython's own sources from Debian, by Debian's musl-gcc.

No registry that is used here has such a Python.  It is static, made once (about a minute) and kept in the cache of the
rigs.  Only what portcheck needs of the standard library is compiled in.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.needs import need
from support.rigs.debian_root import SUITE, cache

SOURCES = (
    f"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {SUITE} main\n"
)
MODULES = """\
*static*
_struct _struct.c
_socket socketmodule.c
_json _json.c
_datetime _datetimemodule.c
_random _randommodule.c
_bisect _bisectmodule.c
_heapq _heapqmodule.c
_contextvars _contextvarsmodule.c
_opcode _opcode.c
_posixsubprocess _posixsubprocess.c
_queue _queuemodule.c
_sha512 sha512module.c
array arraymodule.c
fcntl fcntlmodule.c
grp grpmodule.c
math mathmodule.c
resource resource.c
select selectmodule.c
termios termios.c
unicodedata unicodedata.c
"""
# What musl-gcc lacks are the kernel's own headers; and configure asks which C library the triplet names.
BUILD = """
set -e
mkdir kernel
for headers in linux asm-generic; do ln -s /usr/include/$headers kernel/; done
ln -s /usr/include/$(gcc -print-multiarch)/asm kernel/
cat >compiler <<end
#!/bin/sh
[ "\\$1" = --print-multiarch ] && exec echo $(uname -m)-linux-musl
exec musl-gcc -isystem $PWD/kernel "\\$@"
end
chmod +x compiler
printf '%s' "$SOURCES" >sources.list
mkdir -p lists/partial
own="-o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists"
apt-get -qq $own update
apt-get -qq $own source --download-only python3.11
tar --extract --gzip --strip-components=1 --one-top-level=python --file python3.11_*.orig.tar.gz
cd python
printf '%s' "$MODULES" >Modules/Setup.local
CC=$PWD/../compiler CFLAGS='-O0 -g0' LDFLAGS=-static LINKFORSHARED=' ' MODULE_BUILDTYPE=static \\
    ./configure --quiet --disable-shared --without-ensurepip --disable-test-modules
make --silent -j2 python
mkdir -p "$TARGET/lib/python3.11/lib-dynload"
rm -rf Lib/test
cp -r Lib/. "$TARGET/lib/python3.11"
strip -o "$TARGET/python" python
"""


def musl_python() -> tuple[str, ...]:
    """The command; skips where it cannot be built."""
    need("gcc", "make", "musl-gcc", "apt-get", "strip")
    recipe = hashlib.sha256(repr((SUITE, MODULES, BUILD)).encode()).hexdigest()[:16]
    home = cache() / f"musl-{recipe}"
    if not home.is_dir():
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "musl.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.is_dir():
                _build(home)
    return ("env", f"PYTHONHOME={home}", "PYTHONDONTWRITEBYTECODE=1", str(home / "python"), "-S")


def _build(home: Path) -> None:
    """Appears complete or not at all."""
    part = home.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        variables = {**os.environ, "SOURCES": SOURCES, "MODULES": MODULES, "TARGET": str(part), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["sh", "-c", BUILD], cwd=place, env=variables, capture_output=True, text=True, timeout=600, check=False
        )
    assert done.returncode == 0, f"no Python of musl: {done.stderr[-2000:]}"
    part.rename(home)
