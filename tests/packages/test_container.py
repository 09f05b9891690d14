"""The image that Containerfile makes, built and run by a real engine beside a server and a container.

No registry can be reached: what stands for its base images is made of this machine's Python and Docker client.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.needs import need
from support.processes import HOLDER, SYSTEM_PYTHON
from support.release_tools import ROOT, run
from support.rigs.docker_engine import DockerEngine, start_engine
from support.rigs.sandbox import skip_if_unavailable

# What Debian's Python consists of, with its venv module.
PYTHON = (
    "python3", "python3-minimal", "python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib",
    "python3.11-venv", "python3-pip-whl", "python3-setuptools-whl", "libc6", "libgcc-s1", "libstdc++6", "zlib1g",
    "libexpat1", "libssl3", "libffi8", "libuuid1", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libtirpc3", "libnsl2",
)  # fmt: skip
ANSWERS = ("--network=host", "--pid=host", "--cap-add=SYS_PTRACE")
SOCKET = "--volume=/run/docker.sock:/var/run/docker.sock"
HELD, PUBLISHED, FREE = 3000, 8088, 4000


def archive(*places: tuple[Path, str]) -> bytes:
    """A file system for `docker import`: files of this machine, by their names there."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("bin", "sbin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
        for path, name in places:
            tar.add(path, name)
    return made.getvalue()


def python_image(wheels: Path) -> bytes:
    listed = subprocess.run(["dpkg", "-L", *PYTHON], capture_output=True, text=True, check=False).stdout.splitlines()
    named = (Path(line) for line in listed if line.startswith("/") and "/share/doc/" not in line)
    places = {path.parent.resolve() / path.name for path in named}  # /lib is /usr/lib
    files = [path for path in sorted(places) if len(path.parts) > 2 and (path.is_symlink() or path.is_file())]
    users = wheels / "passwd"
    users.write_text("root:x:0:0::/root:/bin/sh\n")
    return archive(*((path, str(path)) for path in files), (wheels, "wheels"), (users, "etc/passwd"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """One that has the image, a server beside it, and a container that publishes a port."""
    need("dpkg", "docker")
    wheels = tmp_path_factory.mktemp("wheels")
    lock = ROOT / "requirements" / "run.txt"
    pip = ("python", "-m", "pip", "--python", SYSTEM_PYTHON, "download", "--quiet", "--no-deps")
    run(*pip, "--require-hashes", "--requirement", lock, "--dest", wheels)
    with skip_if_unavailable("docker engine"), start_engine() as started:
        offline = ("--change=ENV PIP_NO_INDEX=1", "--change=ENV PIP_FIND_LINKS=/wheels")
        started.docker("import", *offline, "-", "python:here", stdin=python_image(wheels))
        client = archive((Path("/usr/bin/docker"), "usr/local/bin/docker"))
        started.docker("import", "-", "client:here", stdin=client)
        bases = ("--build-arg=BASE=python:here", "--build-arg=CLIENT=client:here")
        built = ("build", "--quiet", "--network=none", *bases, f"--file={ROOT}/Containerfile", "--tag=portcheck")
        started.docker(*built, str(ROOT), timeout=240)
        started.start("web", f"--publish={PUBLISHED}:80")
        with started.started([SYSTEM_PYTHON, "-c", HOLDER, "127.0.0.1", str(HELD)]):
            yield started


class Answer(NamedTuple):
    """What the image says of a port."""

    code: int
    result: dict[str, Any]

    @property
    def spots(self) -> set[str]:
        return {spot["code"] for spot in self.result["blind_spots"]}


def ask(engine: DockerEngine, port: int, *options: str) -> Answer:
    done = engine.docker("run", "--rm", *options, "portcheck", str(port), "--json", check=False)
    (result,) = json.loads(done.stdout)["results"]
    return Answer(done.returncode, result)


def test_a_server_of_the_host_is_named(engine: DockerEngine) -> None:
    answer = ask(engine, HELD, *ANSWERS)
    assert (answer.code, answer.result["verdict"]) == (1, "in-use")
    (owner,) = answer.result["owners"]
    assert owner["pid"]
    assert owner["command"][:2] == [SYSTEM_PYTHON, "-c"]


def test_a_container_is_named_by_its_engine(engine: DockerEngine) -> None:
    answer = ask(engine, PUBLISHED, *ANSWERS, SOCKET)
    assert answer.code == 1
    assert {owner["container"]["name"] for owner in answer.result["owners"] if owner["container"]} == {"web"}
    assert "engine-no-answer" not in answer.spots


def test_without_the_engines_socket_that_is_a_blind_spot(engine: DockerEngine) -> None:
    answer = ask(engine, PUBLISHED, *ANSWERS)
    assert (answer.code, answer.result["verdict"], answer.result["complete"]) == (1, "in-use", False)
    assert "engine-no-answer" in answer.spots


def test_without_the_hosts_processes_the_owner_is_a_blind_spot(engine: DockerEngine) -> None:
    answer = ask(engine, HELD, "--network=host")
    assert (answer.code, answer.result["verdict"]) == (1, "in-use")
    assert [owner["pid"] for owner in answer.result["owners"]] == [None]
    assert "owner-hidden" in answer.spots


def test_the_packet_filter_takes_one_more_right(engine: DockerEngine) -> None:
    assert "redirections-not-seen" in ask(engine, FREE, *ANSWERS).spots
    assert "redirections-not-seen" not in ask(engine, FREE, *ANSWERS, "--cap-add=NET_ADMIN").spots


def test_a_free_port_is_free(engine: DockerEngine) -> None:
    answer = ask(engine, FREE, *ANSWERS)
    assert (answer.code, answer.result["verdict"]) == (0, "free")


def test_help_is_what_it_says_by_itself(engine: DockerEngine) -> None:
    assert engine.docker("run", "--rm", "portcheck").stdout.startswith("Usage: portcheck [COMMAND]")


def test_the_image_has_no_source_and_no_cache(engine: DockerEngine) -> None:
    listed = engine.docker(
        "run", "--rm", "--entrypoint=python3", "portcheck", "-c", "import os; print(os.listdir('/'))"
    )
    assert "source" not in listed.stdout
