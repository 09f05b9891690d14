"""Other Linux kernels as processes of this machine: Debian's user-mode-linux, fetched by the machine's own apt.

    linux = fetch("6.1", cache)  # once
    done = boot(linux, Boot("echo hello"), folder)  # done.status, done.output

A guest has this machine's files (hostfs, read only), processes, users' rights and a network of its own, one processor,
and `folder` to write to.  It has no MPTCP and no AppArmor.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

# Which of Debian's releases has which kernel.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
MEMORY_MIB = 1024
ROOT = Path("/")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MODULES = (
    "ipv6",
    "veth",
    "dummy",
    "vrf",
    "vxlan",
    "nf_tables",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wlc",
)  # what a test may ask `ip`, `nft` or `ipvsadm` for
DIAGNOSTIC_MODULES = ("inet_diag", "tcp_diag", "udp_diag")
FREE_MEMORY = ("/dev/shm", "/tmp", "/var/tmp")

# The guest's first process.  What must be had by everybody but lies below a directory that is not everybody's (as a
# checkout below /root), or below one that is covered here, is mounted once more, over an empty file system.
INIT = """#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export PATH HOME LANG TERM
mount -t proc {proc_options} proc /proc
mount -t sysfs sysfs /sys
{covers}
mkdir -p /dev/pts
mount -t devpts -o ptmxmode=666 devpts /dev/pts
{cgroups}
for module in {modules}; do {folder}/modprobe -q $module 2>/dev/null; done
echo {helper} >/proc/sys/kernel/modprobe
ip link set lo up
sh {folder}/command </dev/null >{folder}/output 2>&1
echo $? >{folder}/status
sync
echo o >/proc/sysrq-trigger
sleep 60
"""
CGROUPS = {
    "v2": "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    "v1": "mount -t tmpfs cgroup /sys/fs/cgroup\n"
    "for each in pids memory cpu devices freezer; do\n"
    "    mkdir /sys/fs/cgroup/$each\n"
    "    mount -t cgroup -o $each cgroup /sys/fs/cgroup/$each || rmdir /sys/fs/cgroup/$each\n"
    "done 2>/dev/null",
}


class CannotBeHadError(Exception):
    """Why there is no such kernel on this machine."""


class Linux(NamedTuple):
    """A kernel: the program that it is, and the directory for `modprobe -d`."""

    program: Path
    modules: Path


class Boot(NamedTuple):
    """A command, as root of a guest, and what the guest is like."""

    command: str
    readable: Sequence[Path] = ()  # what every user must be able to read
    hidepid: int = 0
    cgroups: str = "v2"
    modules: bool = True  # whether the kernel may load what it is asked for, such as sock_diag's
    arguments: Sequence[str] = ()  # the kernel's own
    timeout: float = 600


class Done(NamedTuple):
    """What came of it; there is no status where the guest did not get to the command's end."""

    status: int | None
    output: str
    console: str


# Fetching.


def fetch(version: str, cache: Path) -> Linux:
    """The kernel of that version from the cache, or else from Debian."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CannotBeHadError("user-mode-linux needs Linux on x86-64")
    for program in ("ip", "modprobe", "setpriv"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            raise CannotBeHadError(f"needs {program}")
    directory = cache / version
    made_once(directory, lambda building: build(SUITES[version], building))
    return Linux(directory / "linux", directory)


def made_once(directory: Path, make: Callable[[Path], None]) -> None:
    """A directory of the cache, which is there only when it is complete."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with locked(directory.with_name("lock")):
        if not directory.exists():
            building = directory.with_name(f"{directory.name}.new")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            make(building)
            building.rename(directory)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Two runs at once must not build the same kernel together."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(suite: str, directory: Path) -> None:
    apt_environment = {**os.environ, "APT_CONFIG": str(private_apt(suite, directory / "apt"))}
    run(["apt-get", "-qq", "update"], env=apt_environment)
    run(["apt-get", "-qq", "download", "user-mode-linux", "libc6"], env=apt_environment, cwd=directory / "apt")
    for package, target in (("user-mode-linux", "package"), ("libc6", "libc")):
        (archive,) = (directory / "apt").glob(f"{package}_*.deb")
        run(["dpkg-deb", "-x", str(archive), str(directory / target)])
    (directory / "lib").mkdir()
    (directory / "lib/modules").symlink_to("../package/usr/lib/uml/modules")  # where `modprobe -d` looks
    program = directory / "linux"
    shutil.copy2(directory / "package/usr/bin/linux.uml", program)
    if subprocess.run([program, "--version"], capture_output=True, check=False).returncode:
        with_library_of_its_own(program, directory / "libc", directory.with_name(directory.name.removesuffix(".new")))
    shutil.rmtree(directory / "apt")


def with_library_of_its_own(program: Path, library: Path, at_last: Path) -> None:
    """A newer release's program wants that release's C library, and has to know where: it starts itself once more."""
    if shutil.which("patchelf") is None:
        raise CannotBeHadError("needs patchelf")
    loader, code = (next(library.rglob(name)) for name in ("ld-linux-x86-64.so.2", "libc.so.6"))
    place = at_last / library.name
    run([
        "patchelf", "--set-interpreter", str(place / loader.relative_to(library)),
        "--set-rpath", str((place / code.relative_to(library)).parent), str(program),
    ])  # fmt: skip


def private_apt(suite: str, directory: Path) -> Path:
    """A configuration of apt for another release: from where, and with the keys that, this machine's own comes."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise CannotBeHadError("needs apt, as Debian has it")
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True)
    (directory / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (directory / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n")
    configuration = directory / "apt.conf"
    configuration.write_text(
        f'Dir::State "{directory}"; Dir::State::status "{directory}/status"; Dir::Cache "{directory}/cache";\n'
        f'Dir::Etc::sourcelist "{directory}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null"; Acquire::Languages "none"; Acquire::Retries "3";\n'
        + ('APT::Sandbox::User "root";\n' if os.geteuid() == 0 else "")  # _apt may not enter everybody's cache
    )
    return configuration


def mirror() -> str:
    """Where this machine has its release of Debian from."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian":
        raise CannotBeHadError("needs Debian, whose apt has a mirror of user-mode-linux")
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]).splitlines()
    mine = [line.split()[0] for line in listed if line.split()[1:] == [release.get("VERSION_CODENAME"), "main"]]
    if not mine:
        raise CannotBeHadError("apt has no source of this Debian")
    return mine[0]


def run(argv: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program of the machine prints."""
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise CannotBeHadError(f"{argv[0]}: {lines[-1]}")
    return done.stdout


# Booting.


# A shell's command that mounts a directory of this machine, for reading alone ("-r") or not ("-w"), where it is here.
Mount = Callable[[Path, str], str]


def hostfs(directory: Path, way: str) -> str:
    return f"mount {way} -t hostfs -o {quoted(directory)} none {quoted(directory)}"


def boot(linux: Linux, wanted: Boot, folder: Path) -> Done:
    """Runs a guest to its end."""
    prepare(linux, wanted, folder, hostfs)
    argv = [
        str(linux.program), f"mem={MEMORY_MIB}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet",
        "con=null", "con0=null,fd:1", "con1=null", f"uml_dir={folder}", f"init={folder}/init", *wanted.arguments,
    ]  # fmt: skip
    return finished(argv, {**os.environ, "TMPDIR": place_for_memory()}, wanted, folder)


def prepare(linux: Linux, wanted: Boot, folder: Path, mount: Mount) -> None:
    """Writes what the guest runs."""
    (folder / "command").write_text(wanted.command + "\n")
    (folder / "init").write_text(init_script(linux, wanted, folder, mount))
    (folder / "init").chmod(0o755)
    modprobe = folder / "modprobe"  # a program, since that is what the kernel calls when it needs a module
    modprobe.write_text(f'#!/bin/sh\nexec modprobe -d {quoted(linux.modules)} "$@"\n')
    modprobe.chmod(0o755)


def finished(argv: Sequence[str], environment: dict[str, str], wanted: Boot, folder: Path) -> Done:
    """What comes of the guest that this program is."""
    with (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
        running.add(process.pid)
        if over.is_set():
            end(process.pid)
        try:
            process.wait(wanted.timeout)
        except subprocess.TimeoutExpired:
            console.write(f"\nnot done within {wanted.timeout:.0f} s\n".encode())
        finally:
            end(process.pid)
            process.wait()
            running.discard(process.pid)
    status = text(folder / "status").strip()
    return Done(int(status) if status else None, text(folder / "output"), text(folder / "console"))


running: set[int] = set()  # the process groups of the guests that there are now
over = Event()


def end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end_all() -> None:
    """Ends the guests of all threads, also those that are just about to start."""
    over.set()
    for group in tuple(running):
        end(group)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def place_for_memory() -> str:
    """Where the guest's memory can be a file: executable, and with room for it."""
    for place in FREE_MEMORY:
        with contextlib.suppress(OSError):
            seen = os.statvfs(place)
            if not seen.f_flag & os.ST_NOEXEC and seen.f_bavail * seen.f_frsize > MEMORY_MIB * 2**20:
                return place
    raise CannotBeHadError(f"needs {MEMORY_MIB} MiB in one of {', '.join(FREE_MEMORY)}, without noexec")


def init_script(linux: Linux, wanted: Boot, folder: Path, mount: Mount = hostfs) -> str:
    return INIT.format(
        proc_options=f"-o hidepid={wanted.hidepid}" if wanted.hidepid else "",
        covers="\n".join(covers([*wanted.readable, linux.modules], folder, mount)),
        cgroups=CGROUPS[wanted.cgroups],
        modules=" ".join(MODULES + DIAGNOSTIC_MODULES * wanted.modules),
        helper=f"{folder}/modprobe" if wanted.modules else "/bin/false",
        folder=folder,
    )


def covers(readable: Sequence[Path], folder: Path, mount: Mount = hostfs) -> Iterator[str]:
    """Mounts: memory over what must not reach the host, and over it again what is needed from there."""
    private = [way_in for path in [*readable, folder] if (way_in := closed(path))]
    covered = {Path("/tmp"), Path("/run"), Path("/dev/shm"), *private}
    outermost = [path for path in covered if not any(other in path.parents for other in covered)]
    for path in sorted(outermost):
        mode = "0755" if path in private else "1777"
        yield f"mkdir -p {quoted(path)}; mount -t tmpfs -o mode={mode} memory {quoted(path)}"
    for path in readable:
        if any(above in path.parents for above in outermost):
            yield f"mkdir -p {quoted(path)}; {mount(path, '-r')}"
    yield f"mkdir -p {quoted(folder)}; {mount(folder, '-w')}"


def quoted(path: Path) -> str:
    return shlex.quote(str(path))


def closed(path: Path) -> Path | None:
    """The outermost directory on the way that not everybody may enter."""
    return next((above for above in reversed(path.parents) if not above.stat().st_mode & 0o001), None)
