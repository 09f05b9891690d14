"""The one file: every command on bare Pythons, the same bytes from every build, and a cache that nobody can spoil."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import artefacts
import pytest
from support.every_command import HELD, LINES, WITH_JSON, declare
from support.namespaces import Host
from support.needs import need
from support.processes import NOBODY, SYSTEM_PYTHON
from support.pythons import MINORS, interpreter
from support.rigs.userland import SUITES, entered

import portcheck

ROOT = Path(__file__).parents[2]
BARE = ("-I", "-S")  # Python sees no site-packages, and no variable of its own
FREE = ("check", "8001")
ANSWER = "Port 8001 is free"


@pytest.fixture(scope="module")
def pyz() -> Iterator[Path]:
    """In a folder that every user can read."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield artefacts.one_file(Path(folder))


# Every command, on bare Pythons.


@pytest.mark.parametrize("suite", SUITES)
def test_every_command_on_every_debian(
    suite: str, userland_roots: Mapping[str, Path], pyz: Path, tmp_path: Path
) -> None:
    """As root, whose home takes the cache, and as a user who has no home."""
    with entered(userland_roots[suite]) as debian:
        debian.bring(pyz, "/opt/portcheck.pyz")
        debian.bring(declare(tmp_path), "/srv/Procfile")
        for uid in (0, NOBODY):
            with debian.held(*HELD, uid=uid):
                for line, (code, words) in LINES.items():
                    argv = ["python3", *BARE, "/opt/portcheck.pyz", *shlex.split(line)]
                    done = debian.run(argv, uid=uid, check=False)
                    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), (uid, done)
                for line in WITH_JSON:
                    argv = ["/opt/portcheck.pyz", *shlex.split(line), "--json"]  # as its first line says
                    done = debian.run(argv, uid=uid, check=False)
                    assert (done.returncode, json.loads(done.stdout)["schema_version"]) == (LINES[line][0], 1), done
        kept = debian.run(["find", "/root/.cache", "-printf", "%M %u %f\n"]).stdout.splitlines()
        assert [line.split()[:2] for line in kept[1:]] == [["drwx------", "root"], ["-rw-------", "root"]]


@pytest.mark.parametrize("minor", MINORS)
def test_help_mistakes_and_version_on_every_python(minor: int, pyz: Path) -> None:
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")  # one of the userlands has it, with every command

    def said(*words: str) -> tuple[int, str, str]:
        done = asked(pyz, {}, *words, python=(python, "-W", "error", *BARE))
        return done.returncode, done.stdout, done.stderr

    assert said("--version") == (0, f"portcheck {portcheck.__version__}\n", "")
    assert said("check", "--help")[::2] == (0, "")
    assert said("80", "--jsn") == (2, "", "portcheck: unknown option --jsn; did you mean --json?\n")
    code, out, _ = said("--show-completion", "bash")
    assert (code, "_portcheck()" in out) == (0, True)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8"])
def test_an_old_python_is_told_so(version: str, pyz: Path) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    old = next(pyenv.glob(f"versions/{version}.*/bin/python"), None) or shutil.which(f"python{version}")
    if old is None:
        pytest.skip(f"no Python {version} on this machine")
    done = asked(pyz, {}, *FREE, python=(str(old),))
    assert (done.returncode, done.stdout) == (3, "")
    cause, remedy = done.stderr.splitlines()
    assert cause == f"portcheck: this is Python {version} ({old}), and portcheck needs 3.9 or later"
    assert remedy.startswith("  -> ")
    assert asked(pyz, {}, "run", "8001", "--", "true", python=(str(old),)).returncode == 125


def test_what_it_cannot_read_without_a_library_is_in_the_full_one(pyz: Path, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text('services: {web: {ports: ["127.0.0.1:0:80"]}}\n', encoding="utf-8")
    done = asked(pyz, {}, "preflight", str(tmp_path / "compose.yaml"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[0].endswith("compose.yaml: reading it needs PyYAML")
    assert done.stderr.splitlines()[1] == "  → portcheck-full.pyz has it"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artefacts.full(tmp_path_factory.mktemp("full"))


@pytest.mark.parametrize("suite", [SUITES[0], SUITES[-1]])
def test_the_full_one_reads_every_file(
    suite: str, userland_roots: Mapping[str, Path], full: Path, tmp_path: Path
) -> None:
    """YAML, .env and, before Python 3.11, TOML; and rich draws its help."""
    (tmp_path / "compose.yaml").write_text('services: {web: {ports: ["${WEB}:80"]}}\n', encoding="utf-8")
    (tmp_path / ".env").write_text("WEB=8001\n", encoding="utf-8")
    (tmp_path / "portcheck.toml").write_text("[ports]\napi = 8002\n", encoding="utf-8")
    with entered(userland_roots[suite]) as debian:
        debian.bring(full, "/opt/portcheck-full.pyz")
        for name in ("compose.yaml", ".env", "portcheck.toml"):
            debian.bring(tmp_path / name, f"/srv/{name}")
        declared = debian.run(["python3", *BARE, "/opt/portcheck-full.pyz", "preflight", "--json"])
        assert {result["port"] for result in json.loads(declared.stdout)["results"]} == {8001, 8002}
        terminal = {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
        drawn = debian.run(["script", "-qec", "/opt/portcheck-full.pyz stop --help", "/dev/null"], environment=terminal)
        assert "╭" in drawn.stdout


# The same bytes.


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """In another folder, at another time, with another umask, time zone, language and order of sets."""
    first = {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "umask": "022"}
    second = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "umask": "077"}
    built = [build(tmp_path / f"build-{number}", how) for number, how in enumerate((first, second))]
    assert built[0] == built[1]
    assert {name.rpartition(".")[2] for name in built[0]} == {"pyz", "deb"}


def build(checkout: Path, how: Mapping[str, str]) -> dict[str, bytes]:
    """What a copy of this checkout makes."""
    compiled = shutil.ignore_patterns("__pycache__")
    for folder in ("portcheck", "scripts"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=compiled, copy_function=shutil.copyfile)
    (checkout / "docs").mkdir()
    for file in ("LICENSE", "CHANGELOG.md", "docs/portcheck.1"):
        shutil.copyfile(ROOT / file, checkout / file)
    command = 'umask "$umask"; exec "$@"'
    argv = ["sh", "-c", command, "sh", sys.executable, str(checkout / "scripts/artefacts.py"), "one-file", "deb"]
    subprocess.run(argv, env={**os.environ, **how, "SOURCE_DATE_EPOCH": "1764000000"}, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in (checkout / "dist").iterdir()}


def test_it_can_be_looked_into(pyz: Path) -> None:
    """A zip file of sources, each as it is in the checkout; the commit's time (in zip's steps of two seconds)."""
    with zipfile.ZipFile(pyz) as archive:
        assert archive.testzip() is None
        assert archive.read("portcheck/model.py") == (ROOT / "portcheck/model.py").read_bytes()
        assert archive.namelist() == sorted(archive.namelist())
        assert {info.date_time for info in archive.infolist()} == {time.gmtime(artefacts.timestamp() // 2 * 2)[:6]}
    assert os.access(pyz, os.X_OK)


# What is kept between runs.


class Home:
    """A home of its own, and what runs of the one file do there."""

    def __init__(self, pyz: Path, place: Path) -> None:
        self.pyz, self.place = pyz, place
        self.cache = place / ".cache" / "portcheck"

    def ask(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return asked(self.pyz, {"HOME": str(self.place), **variables}, *FREE)

    def kept(self) -> Path:
        """The file of the only Python that has asked."""
        (file,) = self.cache.iterdir()
        return file

    def compiled(self) -> int:
        """How many modules a run compiles; it has to answer."""
        done = asked(self.pyz, {"HOME": str(self.place)}, *FREE, python=(sys.executable, *BARE, "-c", COUNTING))
        assert (done.returncode, ANSWER in done.stdout) == (0, True), done
        return int(done.stderr)


COUNTING = """
import runpy, sys
count = 0
def hook(event, arguments):
    global count
    count += event == "compile" and str(arguments[1]).startswith("portcheck.pyz/")
sys.addaudithook(hook)
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    sys.stderr.write(str(count))
"""


def asked(
    pyz: Path, variables: Mapping[str, str], *words: str, python: tuple[str, ...] = (sys.executable, *BARE)
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables}
    argv = [*python, str(pyz), *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(pyz: Path, tmp_path: Path) -> Home:
    return Home(pyz, tmp_path)


def test_modules_are_compiled_once(home: Home) -> None:
    assert home.compiled() > 30
    assert [path.stat().st_mode & 0o777 for path in (home.cache, home.kept())] == [0o700, 0o600]
    assert home.compiled() == 0
    before = home.kept().read_bytes()
    listed = asked(home.pyz, {"HOME": str(home.place)}, "list")  # which needs some more
    assert listed.returncode == 0
    assert len(home.kept().read_bytes()) > len(before)
    assert home.compiled() == 0


def test_another_content_or_another_python_has_its_own(home: Home, pyz: Path, tmp_path: Path) -> None:
    home.ask()
    changed = tmp_path / "changed.pyz"
    shutil.copy(pyz, changed)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("portcheck/added.py", "")
    assert asked(changed, {"HOME": str(home.place)}, *FREE).returncode == 0
    assert asked(pyz, {"HOME": str(home.place)}, *FREE, python=(sys.executable, *BARE, "-O")).returncode == 0
    assert len([*home.cache.iterdir()]) == 3


REPLACING = """
import os, runpy, sys
def hook(event, arguments):
    if event == "compile" and str(arguments[1]).startswith("portcheck.pyz/") and os.path.exists(newer):
        os.replace(newer, sys.argv[0])
newer = sys.argv.pop(1)
sys.argv = sys.argv[1:]
sys.addaudithook(hook)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_nothing_is_kept_of_a_file_that_is_replaced_meanwhile(home: Home, pyz: Path, tmp_path: Path) -> None:
    """Modules of two versions would be kept under the name of one."""
    mine, newer = tmp_path / "mine.pyz", tmp_path / "newer.pyz"
    for copy in (mine, newer):
        shutil.copy(pyz, copy)
    with zipfile.ZipFile(newer, "a") as archive:
        archive.writestr("portcheck/added.py", "")
    python = (sys.executable, *BARE, "-c", REPLACING, str(newer))
    done = asked(mine, {"HOME": str(home.place)}, *FREE, python=python)
    assert (done.returncode, ANSWER in done.stdout) == (0, True), done
    assert not newer.exists()
    assert not home.cache.exists()


def test_few_are_kept(home: Home) -> None:
    home.cache.mkdir(mode=0o700, parents=True)
    for number in range(20):
        (home.cache / f"older-{number}").touch()
    home.ask()
    assert len([*home.cache.iterdir()]) == 8
    assert home.compiled() == 0


@pytest.mark.parametrize(
    "variables",
    [{"HOME": ""}, {"HOME": "relative"}, {"HOME": "/nonexistent"}, {"PYTHONDONTWRITEBYTECODE": "1"}],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)
def test_where_nothing_may_be_kept_nothing_is(home: Home, variables: dict[str, str]) -> None:
    done = home.ask(**variables)
    assert (done.returncode, ANSWER in done.stdout, done.stderr) == (0, True, "")
    assert [*home.place.iterdir()] == []


def test_xdg_cache_home_comes_first(home: Home) -> None:
    home.ask(XDG_CACHE_HOME=str(home.place / "other"))
    assert [path.name for path in home.place.iterdir()] == ["other"]
    home.ask(XDG_CACHE_HOME="relative")  # does not count
    assert home.kept().is_file()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "something else": lambda data: b"#!/bin/sh\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(home: Home, damage: str) -> None:
    home.ask()
    home.kept().write_bytes(DAMAGE[damage](home.kept().read_bytes()))
    assert home.compiled() > 30
    assert home.compiled() == 0


# Each makes what is kept something that another user could have written: nothing of it is read, the answer is right.
def _for_everybody(home: Home) -> None:
    home.cache.chmod(0o755)


def _of_another(home: Home) -> None:
    os.chown(home.cache, NOBODY, NOBODY)


def _in_another_ones(home: Home) -> None:
    os.chown(home.cache.parent, NOBODY, NOBODY)


def _through_a_link(home: Home) -> None:
    elsewhere = home.place / "elsewhere"
    home.cache.rename(elsewhere)
    home.cache.symlink_to(elsewhere)


def _file_of_another(home: Home) -> None:
    os.chown(home.kept(), NOBODY, NOBODY)


def _file_for_a_group(home: Home) -> None:
    home.kept().chmod(0o660)


def _file_by_a_link(home: Home) -> None:
    kept = home.kept()
    kept.rename(home.place / "elsewhere")
    kept.symlink_to(home.place / "elsewhere")


def _file_with_a_second_name(home: Home) -> None:
    (home.place / "elsewhere").hardlink_to(home.kept())


def _pipe(home: Home) -> None:
    kept = home.kept()
    kept.unlink()
    os.mkfifo(kept, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [
        _for_everybody, _of_another, _in_another_ones, _through_a_link, _file_of_another, _file_for_a_group,
        _file_by_a_link, _file_with_a_second_name, _pipe,
    ],
)  # fmt: skip
def test_what_another_user_could_have_written_is_not_believed(home: Home, spoil: Callable[[Home], None]) -> None:
    need()
    home.ask()
    spoil(home)
    assert home.compiled() > 30


def test_a_user_does_not_read_what_root_has_kept(home: Home, host: Host) -> None:
    """And leaves nothing of its own in another one's home: sudo, setpriv and su may leave HOME as it was."""
    home.ask()
    before = home.kept().read_bytes()
    argv = ["env", f"HOME={home.place}", SYSTEM_PYTHON, *BARE, str(home.pyz), *FREE]
    home.place.chmod(0o777)
    assert ANSWER in host.run(argv, uid=NOBODY).stdout
    assert home.kept().read_bytes() == before


@pytest.mark.parametrize("options", ["size=64k", "ro"])
def test_a_full_disk_and_one_that_cannot_be_written_to(home: Home, options: str) -> None:
    need("unshare", "mount")
    inside = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && "$@" && exec find "$HOME" -type f'
    argv = ["unshare", "--mount", "sh", "-c", inside, "sh", options, str(home.place)]
    done = subprocess.run(
        [*argv, sys.executable, *BARE, str(home.pyz), *FREE], env={"PATH": os.environ["PATH"], "HOME": str(home.place)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(" on ")[0] for line in done.stdout.splitlines()] == [ANSWER]  # and no file is left


def test_many_at_once(home: Home) -> None:
    argv = [sys.executable, *BARE, str(home.pyz), *FREE]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home.place)}
    runs = [subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = {run.communicate(timeout=60)[0] for run in runs}
    assert (len(answers), {run.returncode for run in runs}) == (1, {0})
    home.kept()
    assert home.compiled() == 0


def test_a_file_in_a_relative_place(home: Home) -> None:
    """What tells where a module is has to stay true when the working directory changes."""
    argv = [sys.executable, *BARE, home.pyz.name, *FREE]
    done = subprocess.run(argv, cwd=home.pyz.parent, env={"HOME": str(home.place)}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_bug_is_shown_with_its_source(home: Home, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pyz"
    content = artefacts.one_file_content()
    content["portcheck/cli/parse.py"] += b"\ndef parse(argv):\n    raise ZeroDivisionError  # here it is\n"
    artefacts.archive(broken, content)
    for _ in range(2):  # compiled, and kept
        done = asked(broken, {"HOME": str(home.place), "PORTCHECK_TRACEBACK": "1"}, *FREE)
        assert done.returncode == 70
        assert "raise ZeroDivisionError  # here it is" in done.stderr
