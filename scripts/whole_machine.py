"""What scripts/whole-machine runs: tests of this checkout on emulated machines, and a table of what came.

A guest is a PC with one processor, a kernel as Debian ships it, and the files of this machine (9p, read only): what it
runs, and what comes of that, is as in scripts/test-kernels.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import kernels
import user_mode_linux
from kernels import NO_IPV6, Suite
from user_mode_linux import Boot, CannotBeHadError, Done, Linux, run

RELEASES = ("bookworm", "trixie-backports")
PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "depmod", "modprobe", "ip", "setpriv", "apparmor_parser")
TIMEOUT, LONG_TIMEOUT = 1200, 12 * 3600  # seconds for one guest
FOR_ITS_DISK = ("virtio_pci", "9pnet_virtio", "9p")
OPTIONS = "trans=virtio,version=9p2000.L,msize=512000"
SUITES = (
    Suite("matrix", "tests/system/test_matrix.py", 8),
    Suite("histories", "tests/system/test_histories.py", 2),
    Suite("outside", "tests/system/test_from_outside.py", 8),
    Suite("owners", "tests/system/test_owners.py"),
    Suite("settings", "tests/kernels"),
    NO_IPV6,
    Suite(
        "AppArmor", "tests/machine",
        proof="mount -t securityfs none /sys/kernel/security && grep -q Y /sys/module/apparmor/parameters/enabled",
    ),
)  # fmt: skip
# The first process, in memory: busybox makes this machine's files the guest's.
FIRST = f"""#!/busybox sh
/busybox mount -t devtmpfs dev /dev
for module in /*.ko; do /busybox insmod $module; done
/busybox mount -t 9p -o {OPTIONS},cache=loose,ro files /root
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root "$1"
"""


def main() -> int:
    options = kernels.arguments("scripts/whole-machine", RELEASES, SUITES)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, kernels.interrupted)
    try:
        machines = {version: fetch(version, renew=options.renew) for version in options.version}
    except CannotBeHadError as error:
        print(f"SKIPPED: whole machines: {error}")
        return kernels.SKIPPED
    jobs = [(version, suite) for suite in SUITES if suite.name in options.only for version in machines]
    table = {
        (version, suite.name): done(suite, version, machines[version], long=options.long) for version, suite in jobs
    }
    print("\n".join([*kernels.details(table), "", *kernels.rows(table)]))
    return int(any(count.failed or not count.passed for count in table.values()))


# Fetching.


def fetch(release: str, *, renew: bool) -> Linux:
    """The newest kernel of that release, from the cache, or else from Debian."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := [program for program in PROGRAMS if shutil.which(program, path=path) is None]:
        raise CannotBeHadError(f"needs {', '.join(missing)}")
    directory = kernels.CACHE / f"{release}.machine"
    if renew:
        shutil.rmtree(directory, ignore_errors=True)
    user_mode_linux.made_once(directory, lambda building: build(release, building))
    return Linux(directory / "vmlinuz", directory)


def build(release: str, directory: Path) -> None:
    apt = {**os.environ, "APT_CONFIG": str(user_mode_linux.private_apt(release, directory / "apt"))}
    run(["apt-get", "-qq", "update"], env=apt)
    run(["apt-get", "-qq", "download", *packages(apt)], env=apt, cwd=directory / "apt")
    for archive in (directory / "apt").glob("*.deb"):
        run(["dpkg-deb", "-x", str(archive), str(directory / "package")])
    shutil.rmtree(directory / "apt")
    (modules,) = (path for path in directory.glob("package/**/lib/modules/*") if path.is_dir())
    (directory / "lib").mkdir()
    (directory / "lib/modules").symlink_to(Path("..") / modules.parent.relative_to(directory))  # for `modprobe -d`
    run(["depmod", "-b", str(directory), modules.name])
    (image,) = (path for path in (directory / "package").rglob("vmlinuz*") if path.is_file())
    image.rename(directory / "vmlinuz")
    first_files(directory, modules.name)


def packages(apt: dict[str, str]) -> list[str]:
    """The newest kernel's image, and those that it has been in parts of since 7.0."""
    names = ["linux-image-amd64"]
    for name in names:
        needed = re.findall(
            r" Depends: (linux-(?:image|binary|modules|base)-\d\S+)", run(["apt-cache", "depends", name], env=apt)
        )
        names += [each for each in needed if each not in names]
    return names[1:]


def first_files(directory: Path, version: str) -> None:
    """The file system that is in memory at first."""
    tree = directory / "first"
    for name in ("dev", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy2(shutil.which("busybox") or "busybox", tree / "busybox")
    (tree / "init").write_text(FIRST)
    (tree / "init").chmod(0o755)
    shown = (run(["modprobe", "-S", version, "-d", str(directory), "--show-depends", name]) for name in FOR_ITS_DISK)
    for number, module in enumerate(dict.fromkeys(re.findall(r"^insmod (\S+)", "".join(shown), re.MULTILINE))):
        code = Path(module).read_bytes()
        (tree / f"{number:02}.ko").write_bytes(lzma.decompress(code) if module.endswith(".xz") else code)
    run(["sh", "-c", "find . | cpio --create --format=newc --quiet >../initrd"], cwd=tree)
    shutil.rmtree(tree)


# Booting.


def done(suite: Suite, version: str, linux: Linux, *, long: bool) -> kernels.Count:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portcheck-machine.") as directory:
        folder = Path(directory).resolve()
        command = kernels.command(suite, folder, long=long)
        wanted = suite.guest._replace(
            command=f"uname -r\n{command}", readable=kernels.readable(), timeout=LONG_TIMEOUT if long else TIMEOUT
        )
        seen = boot(linux, wanted, folder)
        document = user_mode_linux.text(folder / "junit.xml")
    count = kernels.judged(document, seen, version)
    name = seen.output.partition("\n")[0]
    print(f"{name} {suite.name}: {count.cell}  ({time.monotonic() - started:.0f} s)", flush=True)
    return count


def boot(linux: Linux, wanted: Boot, folder: Path) -> Done:
    """Runs a guest to its end.  With two processors, emulated kernels now and then panic."""
    shared = [*wanted.readable, linux.modules, folder]

    def mount(directory: Path, way: str) -> str:
        options = f"{OPTIONS},cache={'none' if directory == folder else 'loose'}"
        return f"mount {way} -t 9p -o {options} share{shared.index(directory)} {user_mode_linux.quoted(directory)}"

    user_mode_linux.prepare(linux, wanted, folder, mount)
    shares = [files(f"share{number}", path, writable=path == folder) for number, path in enumerate(shared)]
    argv = [
        "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "2048", "-nodefaults", "-no-reboot",
        "-display", "none", "-serial", "stdio", "-kernel", str(linux.program),
        "-initrd", str(linux.program.with_name("initrd")), *files("files", Path("/"), writable=False),
        *(word for share in shares for word in share),
        "-append", " ".join(["console=ttyS0 quiet panic=-1", *wanted.arguments, "--", f"{folder}/init"]),
    ]  # fmt: skip
    return user_mode_linux.finished(argv, dict(os.environ), wanted, folder)


def files(tag: str, directory: Path, *, writable: bool) -> Sequence[str]:
    """The options that let a guest mount a directory."""
    readonly = "off" if writable else "on"
    what = f"local,id={tag},path={directory},security_model=none,multidevs=remap,readonly={readonly}"
    return "-fsdev", what, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"


if __name__ == "__main__":
    sys.exit(main())
