"""Containers, sandboxes, other Linuxes: what portcheck sees there, as docs/platforms.md says (`--write` writes it)."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.bind_policy import deny_binds
from support.elsewhere import (
    HELD,
    OTHER_UID,
    PUBLISHED,
    QUESTION,
    ROOT,
    Asked,
    compare,
    one_file,
    read,
    untrue,
)  # fmt: skip
from support.musl import musl_python
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.processes import HOLDER, NOBODY, SYSTEM_PYTHON
from support.rigs.docker_engine import DockerEngine
from support.rigs.systemd_host import SystemdHost, location

Ways = Mapping[str, Asked]
ONE_FILE = (SYSTEM_PYTHON, "-I", "-S")
PACKAGE = "the package"
OWN_NETWORK = ("PrivateNetwork=yes", "none", "host PIDs")

UNITS = {
    "no setting": (),
    "PrivateNetwork=yes": ("PrivateNetwork=yes",),
    "ProtectProc=invisible": ("ProtectProc=invisible",),
    "ProtectProc=invisible, User=": ("ProtectProc=invisible", "User=nobody"),
    "ProcSubset=pid": ("ProcSubset=pid",),
    "RestrictAddressFamilies=AF_UNIX": ("RestrictAddressFamilies=AF_UNIX",),
    "RestrictAddressFamilies=AF_INET": ("RestrictAddressFamilies=AF_INET",),
    "RestrictAddressFamilies=AF_INET AF_NETLINK": ("RestrictAddressFamilies=AF_INET AF_NETLINK",),
    "RestrictAddressFamilies=AF_INET6 AF_NETLINK": ("RestrictAddressFamilies=AF_INET6 AF_NETLINK",),
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6": ("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",),
    "SystemCallFilter=@system-service": ("SystemCallFilter=@system-service",),
    "SystemCallFilter=~@network-io": ("SystemCallFilter=~@network-io",),
    "SystemCallFilter=~@network-io:EPERM": ("SystemCallFilter=~@network-io", "SystemCallErrorNumber=EPERM"),
    "SystemCallFilter=~bind:EPERM": ("SystemCallFilter=~bind", "SystemCallErrorNumber=EPERM"),
    "DynamicUser=yes": ("DynamicUser=yes",),
    "NoNewPrivileges=yes": ("NoNewPrivileges=yes",),
    "PrivateUsers=yes": ("PrivateUsers=yes",),
    "ProtectKernelTunables=yes": ("ProtectKernelTunables=yes",),
    "CapabilityBoundingSet=": ("CapabilityBoundingSet=",),
}
SOCKET = "--volume=/run/docker.sock:/var/run/docker.sock"
CONTAINERS = {
    "none": (),
    "host PIDs": ("--pid=host",),
    "host network": ("--network=host",),
    "host network, a user": ("--network=host", f"--user={OTHER_UID}"),
    "host network, engine's socket": ("--network=host", SOCKET),
    "host network and PIDs": ("--network=host", "--pid=host"),
    "host network and PIDs, SYS_PTRACE": ("--network=host", "--pid=host", "--cap-add=SYS_PTRACE"),
    "host network and PIDs, SYS_PTRACE, engine's socket":
        ("--network=host", "--pid=host", "--cap-add=SYS_PTRACE", SOCKET),
}  # fmt: skip


@pytest.fixture
def write(pytestconfig: pytest.Config) -> bool:
    """Whether the tables are to become what was seen."""
    return bool(pytestconfig.getoption("--write"))


@pytest.fixture(scope="module")
def bundle() -> Iterator[Path]:
    """The one file, in a folder that every user may read; beside it the package and its libraries."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        made = one_file(place)
        libraries = location("psutil").parent
        (place / "libraries").mkdir()
        for name in ("psutil",):
            shutil.copytree(libraries / name, place / "libraries" / name)
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield made


def test_in_systemds_units(systemd_host: SystemdHost, bundle: Path, write: bool) -> None:
    systemd_host.run(["install", "-m644", "/dev/stdin", "/opt/portcheck.pyz"], stdin=bundle.read_bytes())
    for uid, how in HELD:
        unit = ("systemd-run", "--quiet", f"--property=User={uid}", "--property=Type=exec", f"--unit=held-{how[1]}")
        until_the_end = f'sleep infinity | "$@" >/tmp/held-{how[1]}'
        systemd_host.run([*unit, "sh", "-c", until_the_end, "sh", SYSTEM_PYTHON, "-c", HOLDER, *how])
    everybody = ["cat", *(f"/tmp/held-{how[1]}" for _, how in HELD)]
    # check=False: Type=exec tells that the shell was executed, its redirection may not have made the file yet.
    wait_for(lambda: systemd_host.run(everybody, check=False).stdout.count("ready") == len(HELD), "all are held")

    def ask(settings: Sequence[str], argv: Sequence[str]) -> Asked:
        unit = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect")
        properties = [f"--property={setting}" for setting in settings]
        done = systemd_host.run([*unit, *properties, *argv, *QUESTION], check=False)
        return read(done)

    ways = {PACKAGE: ("/usr/local/bin/portcheck",), "one file": (*ONE_FILE, "/opt/portcheck.pyz")}
    rows = {where: {way: ask(settings, argv) for way, argv in ways.items()} for where, settings in UNITS.items()}
    check(rows)
    compare("systemd", rows, write=write)


def test_in_containers(docker_engine: DockerEngine, bundle: Path, write: bool) -> None:
    need("podman", "crun", "setpriv")
    docker_engine.docker("import", "-", "elsewhere:1", stdin=skeleton())
    docker_engine.start("web", f"--publish={PUBLISHED}:80")
    volumes = [f"--volume={place}:{place}:ro" for place in ("/usr", str(bundle.parent))]

    def by_docker(settings: Sequence[str], argv: Sequence[str]) -> Asked:
        done = docker_engine.docker("run", "--rm", *settings, *volumes, "elsewhere:1", *argv, *QUESTION, check=False)
        return read(done)

    podman = own_podman(docker_engine)

    def by_podman(settings: Sequence[str], argv: Sequence[str]) -> Asked:
        network = () if "--network=host" in settings else ("--network=none",)
        options = ("run", "--rm", "--cgroups=disabled", *network, *settings, *volumes)
        done = docker_engine.run([*podman, *options, "elsewhere:1", *argv, *QUESTION], check=False)
        return read(done)

    docker_engine.run([*podman, "import", "-", "elsewhere:1"], stdin=skeleton())
    with ExitStack() as stack:
        for uid, how in HELD:
            become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
            stack.enter_context(docker_engine.started([*become, SYSTEM_PYTHON, "-c", HOLDER, *how]))
        ways = {PACKAGE: for_all(bundle), "one file": (*ONE_FILE, str(bundle))}
        rows = {
            where: {way: by_docker(settings, argv) for way, argv in ways.items()}
            for where, settings in CONTAINERS.items()
        }
        podmans = {
            where: {way: by_podman(settings, argv) for way, argv in ways.items()}
            for where, settings in CONTAINERS.items()
            if not {SOCKET, "--pid=host"}.intersection(settings)
        }
    check(rows)
    check(podmans)
    compare("docker", rows, engine=True, write=write)
    compare("podman", podmans, engine=True, write=write)


def test_in_user_namespaces_and_under_a_policy(host: Host, bundle: Path, write: bool) -> None:
    """As root of a user namespace of one's own, and where a cgroup's program denies binds as SocketBindDeny= does."""
    need("unshare", "setpriv")
    for uid, (address, port, *how) in HELD:
        host.hold(address, int(port), *how, uid=uid)
    with deny_binds() as cgroup:
        places: dict[str, tuple[int, Sequence[str]]] = {
            "root": (0, ()),
            "an ordinary user": (NOBODY, ()),
            "an ordinary user's unshare -Ur": (NOBODY, ("unshare", "--user", "--map-root-user")),
            "root's unshare -Ur": (0, ("unshare", "--user", "--map-root-user")),
            "root's unshare -Ur, host PIDs hidden": (
                0,
                ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"),
            ),
            "SocketBindDeny=any": (0, ("sh", "-c", f'echo $$ >{cgroup}; exec "$@"', "sh")),
        }
        ways = {PACKAGE: for_all(bundle), "one file": (*ONE_FILE, str(bundle))}

        def ask(uid: int, argv: Sequence[str]) -> Asked:
            done = host.run([*argv, *QUESTION], uid=uid, check=False, cwd=Path("/"))
            return read(done)

        rows = {
            where: {way: ask(uid, (*wrapped, *argv)) for way, argv in ways.items()}
            for where, (uid, wrapped) in places.items()
        }
    check(rows)
    compare("user namespaces", rows, write=write)


def test_by_a_python_of_musl(host: Host, bundle: Path, long: bool) -> None:
    """What it sees is what Debian's Python sees: nothing that portcheck asks of the C library differs."""
    if not long:
        pytest.skip("only with --long: it builds a Python")
    for uid, (address, port, *how) in HELD:
        host.hold(address, int(port), *how, uid=uid)
    ways = (musl_python(), (SYSTEM_PYTHON, "-I", "-S"))
    musl, debian = (host.run([*argv, str(bundle), *QUESTION], check=False) for argv in ways)
    assert json.loads(musl.stdout) == json.loads(debian.stdout)
    for words in (("list", "--json"), ("pick", f"{ROOT}-8010"), (f"localhost:{ROOT}",), ("http",), ("wait", str(ROOT))):
        musl, debian = (host.run([*argv, str(bundle), *words], check=False) for argv in ways)
        assert (musl.returncode, musl.stdout, musl.stderr) == (debian.returncode, debian.stdout, debian.stderr), words


def check(rows: Mapping[str, Ways]) -> None:
    """What has to hold wherever it is asked, whatever the table says."""
    for where, ways in rows.items():
        for way, asked in ways.items():
            if asked.document is not None:
                wrong = untrue(asked, shares_network=where not in OWN_NETWORK)
                assert not wrong, (where, way, wrong)


def for_all(bundle: Path) -> tuple[str, ...]:
    """The package with its libraries, by a Python that is in every container: what pip installs, on its path."""
    place = bundle.parent
    return ("env", f"PYTHONPATH={place / 'source'}:{place / 'libraries'}", SYSTEM_PYTHON,
            "-m", "portcheck")  # fmt: skip


def own_podman(engine: DockerEngine) -> tuple[str, ...]:
    """podman's command, with a store that goes with the engine's host, and cgroups of one version alone (crun's)."""
    files = 'mount -t cgroup2 none /sys/fs/cgroup; exec "$@"'
    store = ("--root=/run/podman/root", "--runroot=/run/podman/run", "--tmpdir=/run/podman/tmp", "--storage-driver=vfs")
    ways = ("--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=crun", "--log-level=error")
    return ("unshare", "--mount", "sh", "-c", files, "sh", "podman", *store, *ways)


def skeleton() -> bytes:
    """An image without files of its own but the names of users: /usr is this machine's."""
    made = io.BytesIO()
    users = (
        f"root:x:0:0::/root:/bin/sh\ndev:x:{OTHER_UID}:{OTHER_UID}::/:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\n"
    )
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("etc", "root", "tmp", "var", "var/run"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name in ("bin", "sbin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
        files = {"passwd": users.encode(), "hosts": b"127.0.0.1 localhost\n"}
        for name, content in (*files.items(), ("ld.so.cache", Path("/etc/ld.so.cache").read_bytes())):
            file = tarfile.TarInfo(f"etc/{name}")
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
    return made.getvalue()
