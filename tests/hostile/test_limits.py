"""What an ordinary user does to root's portcheck: it costs his own process a blind spot, and nobody else anything."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import seccomp
from support.namespaces import Host
from support.needs import need
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON
from support.strangers import LISTENER, READY, UID, Asked, Stranger, asked, cheap

from portcheck.observe.linux import cgroups, fd_walk, fork, rare_holders
from portcheck.observe.linux.descriptors import WORTH_A_FORK
from portcheck.observe.linux.fd_walk import MOST_DESCRIPTORS
from portcheck.observe.linux.processes import MOST_OF_A_COMMAND

INNOCENT, HIS = 8000, 8001

# Points his arguments at 64 MiB that nobody has touched: to read them makes them (prctl(2), PR_SET_MM_MAP).
OVER_A_HUGE_MAPPING = """
import ctypes, mmap, struct
size = 64 << 20
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
start = libc.mmap(None, size, 3, 0x22, -1, 0)
fields = [int(word) for word in open("/proc/self/stat").read().rpartition(") ")[2].split()[1:]]
field = lambda number: fields[number - 4]
libc.sbrk.restype = ctypes.c_void_p
auxv = open("/proc/self/auxv", "rb").read()
kept = ctypes.create_string_buffer(auxv)
wanted = struct.pack("=11QQII", field(26), field(27), field(45), field(46), field(47), libc.sbrk(0), field(28),
    start, start + size, start, start + size, ctypes.addressof(kept), len(auxv), 0xFFFFFFFF)
if libc.prctl(35, 14, wanted, len(wanted), 0):
    print("refused", ctypes.get_errno(), flush=True)
    sys.exit()
"""
MANY_DESCRIPTORS = """
import os, resource
number = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
kept = os.open("/dev/null", os.O_RDONLY)
for _ in range(number - 10):
    os.dup(kept)
"""
# Each thread has a table of its own (unshare(2), CLONE_FILES).
MANY_TABLES = """
import ctypes, threading
unshare, count, done = ctypes.CDLL(None).unshare, 400, threading.Semaphore(0)
def own_table():
    unshare(0x400)
    done.release()
    threading.Event().wait()
threading.stack_size(1 << 16)
for _ in range(count):
    threading.Thread(target=own_table, daemon=True).start()
for _ in range(count):
    done.acquire()
"""


@pytest.fixture
def alone(host: Host) -> Asked:
    """What it takes to see the innocent port, before the stranger comes."""
    host.hold("127.0.0.1", INNOCENT, "name", "innocent")
    return asked(host, str(INNOCENT))


def owner(cost: Asked) -> dict[str, object]:
    (found,) = [one for one in json.loads(cost.out)["owners"] if one["name"] != "innocent"]
    return dict(found)


def unharmed(host: Host, alone: Asked) -> None:
    """Root sees the innocent port as ever, alone and in the list, for what it took before."""
    costs = [asked(host, str(INNOCENT)) for _ in range(2)]
    assert {(cost.code, cost.out, cost.err) for cost in costs} == {(1, alone.out, alone.err)}
    assert cheap(costs, [alone])
    listed = [asked(host, "list") for _ in range(2)]
    assert {cost.code for cost in listed} == {0}
    assert re.search(rf"\b{INNOCENT}\b.*innocent", listed[0].out)
    assert re.search(rf"\b{HIS}\b", listed[0].out)
    assert cheap(listed, [alone])


# What a process tells of itself


def test_arguments_over_a_huge_mapping(host: Host, alone: Asked) -> None:
    try:
        pid = Stranger(host).start(OVER_A_HUGE_MAPPING, str(HIS)).pid
    except AssertionError as refusal:
        if "refused" not in str(refusal):
            raise
        pytest.skip("no prctl(PR_SET_MM_MAP) for ordinary users on this kernel")
    unharmed(host, alone)
    asked_about_him = asked(host, str(HIS), "--json")
    (result,) = json.loads(asked_about_him.out)["results"]
    assert cheap([asked_about_him], [asked(host, str(INNOCENT), "--json")])
    assert [spot["code"] for spot in result["blind_spots"]] == ["command-cut"]
    assert str(pid) in result["blind_spots"][0]["message"]
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0])
    assert resident < 40 << 10  # to look has not made it larger


def test_two_mebibytes_of_arguments_and_variables(host: Host, alone: Asked) -> None:
    variables = {f"V{number}": "x" * 100_000 for number in range(10)}
    argv = [str(HIS), *["y" * 100_000] * 8, "\n\x1b[31m" * 1000]
    Stranger(host).start("", *argv, env=variables)
    unharmed(host, alone)
    (told,) = json.loads(asked(host, str(HIS), "--json").out)["results"][0]["owners"]
    assert len("\0".join(told["command"])) <= MOST_OF_A_COMMAND


def test_descriptors_by_the_hundred_thousand(host: Host, alone: Asked) -> None:
    most = min(200_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    if most < MOST_DESCRIPTORS * 2:
        pytest.skip("no process may have so many descriptors here")
    his = Stranger(host).start(MANY_DESCRIPTORS, str(HIS), preexec_fn=lambda: limit_descriptors(most))
    assert len(os.listdir(f"/proc/{his.pid}/fd")) > MOST_DESCRIPTORS * 2 - 100
    unharmed(host, alone)


def test_who_has_too_many_descriptors_is_named_where_it_matters(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is on its way between processes has no holder: the crowded one could be it."""
    from portcheck import check_all

    his = Stranger(host).start("import os\nkept = [os.dup(0) for _ in range(100)]", str(HIS))
    sender, receiver = socket.socketpair()
    with host.entered(), socket.socket() as sent, sender, receiver:
        sent.bind(("127.0.0.1", 8002))
        sent.listen()
        socket.send_fds(sender, [b"x"], [sent.fileno()])
        sent.close()
        monkeypatch.setattr(fd_walk, "MOST_DESCRIPTORS", 90)
        his_own, in_flight = check_all([str(HIS), "8002"])
    spots = {spot.code: spot.message for spot in in_flight.blind_spots}
    assert f"{his.pid}" in spots["too-many-descriptors"]
    assert his_own.complete and [owner.pid for owner in his_own.owners] == [his.pid]


def test_of_many_descriptors_only_the_first_are_read() -> None:
    """Whoever has more is one whom nobody has looked at, unless all that is wanted was among the first."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = frozenset([f"socket:[{os.fstat(server.fileno()).st_ino}]", "socket:[1]"])
        read = fd_walk.held_links("self/fd", wanted, at_most=server.fileno() + 1)
        assert (read.whole, read.looked_at <= server.fileno() + 1) == (False, True)
        own = fd_walk.held_links("self/fd", wanted - {"socket:[1]"}, at_most=10_000)
        assert (own.whole, len(own.links)) == (True, 1)


def test_a_process_with_too_many_descriptors_was_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fd_walk, "MOST_DESCRIPTORS", 0)
    assert fd_walk.walk([(os.getpid(), "self/fd")], frozenset(["socket:[1]"])) == ({}, set(), {os.getpid()})


def test_a_table_of_descriptors_for_each_thread(host: Host, alone: Asked) -> None:
    """These are looked at for a socket that nobody seems to hold."""
    his = Stranger(host).start(MANY_TABLES, str(HIS))
    compared = []

    def same(one: int, other: int) -> bool:
        compared.append((one, other))
        return False

    tables, whole = rare_holders._tables(his.pid, same)
    assert len(compared) <= rare_holders.MOST_COMPARISONS
    assert not whole and len(tables) < 400
    unharmed(host, alone)


# cgroups

HOLDER_OF_THE_INNOCENT = [SYSTEM_PYTHON, "-S", "-E", "-c", LISTENER + READY, str(INNOCENT)]


@contextmanager
def given_cgroup() -> Iterator[Path]:
    """A directory of the cgroup v2 hierarchy that root has given to the stranger, as systemd does for `user@4001`."""
    need()
    place = cgroups.find_hierarchy(Path("/proc/self/mountinfo").read_bytes())
    if not place:
        pytest.skip("no cgroup v2 hierarchy here")
    top = Path(place[0], f"portcheck-hostile-{os.getpid()}")
    try:
        top.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        for path in (top, top / "cgroup.procs"):
            os.chown(path, UID, UID)
        yield top
    finally:
        subprocess.run(["find", str(top), "-depth", "-type", "d", "-delete"], check=True)  # deeper than os.walk gets


def joining(group: Path) -> Callable[[], object]:
    return lambda: (group / "cgroup.procs").write_text("0")


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\r", "\x85", "\u2028"])
def test_a_cgroup_whose_name_ends_lines(separator: str, host: Host, alone: Asked) -> None:
    with given_cgroup() as top:
        group = top / f"a{separator}1:name=systemd:{separator}b"
        group.mkdir()
        his = Stranger(host).start("", str(HIS), preexec_fn=joining(group))
        try:
            unharmed(host, alone)
            (told,) = json.loads(asked(host, str(HIS), "--json").out)["results"][0]["owners"]
            assert told["cgroup"].endswith(f"/{group.name}")
        finally:
            his.kill()
            his.wait()


def nest(top: Path, depth: int) -> Path:
    """As deep as is wanted, by short paths: the whole one is too long for any system call."""
    home = os.getcwd()
    os.chdir(top)
    try:
        for _ in range(depth):
            os.mkdir("n")
            os.chdir("n")
    finally:
        os.chdir(home)
    return top / "/".join(["n"] * depth)


def test_1100_nested_cgroups(host: Host, for_everyone: list[str]) -> None:
    """Who may not see a socket's holder walks the hierarchy, for the cgroup in which it was made."""
    with given_cgroup() as top:
        mine = top.parent / f"{top.name}-innocent"
        mine.mkdir()
        try:
            nest(top, 1100)
            walked = dict(cgroups.walk(str(top.parent), "/"))
            assert walked[mine.stat().st_ino] == f"/{mine.name}"
            his = [path for path in walked.values() if path.startswith(f"/{top.name}/")]
            assert len(his) == cgroups.MOST_OF_A_STRANGER
            innocent = host.start(HOLDER_OF_THE_INNOCENT, ready=b"ready", preexec_fn=joining(mine))
            done = host.run([*for_everyone, str(INNOCENT), "--json"], uid=UID + 1, check=False)
            (told,) = json.loads(done.stdout)["results"][0]["owners"]
            assert told["cgroup"].endswith(f"/{mine.name}")
            innocent.kill()
            innocent.wait()
        finally:
            mine.rmdir()


# Files around a process


def quadratic(path: Path) -> None:
    (path / "pyproject.toml").write_text("a." * 24_000 + "a = 1\n")


TRAPS: dict[str, Callable[[Path], object]] = {
    "a FIFO": lambda path: os.mkfifo(path / "package.json"),
    "a device": lambda path: os.mknod(path / "package.json", 0o666 | 0o020000, os.makedev(1, 5)),
    "a link to /proc": lambda path: (path / "package.json").symlink_to("/proc/kmsg"),
    "huge": lambda path: os.truncate(os.open(path / "package.json", os.O_CREAT | os.O_WRONLY, 0o666), 1 << 40),
    "quadratic": quadratic,
    "deep": lambda path: (path / "package.json").write_text("[" * 60_000),
    "a long number": lambda path: (path / "package.json").write_text("1" * 65_000),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_project_file_that_is_a_trap(trap: str, host: Host, alone: Asked, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    TRAPS[trap](shop)
    for path in (shop, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    Stranger(host).start("", str(HIS), cwd=shop)
    unharmed(host, alone)
    asked_about_him = asked(host, str(HIS), "--json")
    (told,) = json.loads(asked_about_him.out)["results"][0]["owners"]
    assert told["project"] == "shop"
    assert cheap([asked_about_him], [asked(host, str(INNOCENT), "--json")])


def test_a_mount_over_a_project_file(host: Host, alone: Asked, tmp_path: Path) -> None:
    """It says that it is a regular file, and reading it would wait for ever."""
    need("unshare", "mount")
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "package.json").write_text("{}")
    serve = (
        f"mount --bind /proc/kmsg {shop}/package.json && cd {shop} && exec {SYSTEM_PYTHON} -S -E -c "
        "\"import socket,sys; held = socket.create_server(('127.0.0.1', 8001)); print('ready', flush=True);"
        ' sys.stdin.read()"'
    )
    host.start(["unshare", "-m", "sh", "-c", serve], ready=b"ready")
    (told,) = json.loads(asked(host, str(HIS), "--json").out)["results"][0]["owners"]
    assert told["project"] == "shop"
    unharmed(host, alone)


# Names

# Answers each question with this code (RFC 1035: 2 is a server's failure, 3 "no such name"), or never.
NAME_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    question, client = server.recvfrom(512)
    if sys.argv[1:]:
        end = question.index(b"\\0", 12) + 5
        flags = (0x8180 | int(sys.argv[1])).to_bytes(2, "big")
        server.sendto(question[:2] + flags + question[4:6] + bytes(6) + question[12:end], client)
"""


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((), 3, "host 'shop.example' could not be resolved in 6 s"),
        (("2",), 3, "host 'shop.example' could not be resolved: Temporary failure in name resolution"),
        (("3",), 2, "unknown host 'shop.example'"),
    ],
    ids=["dead", "failing", "no such name"],
)
def test_a_name(answer: tuple[str, ...], code: int, message: str, host: Host, tmp_path: Path) -> None:
    need("unshare", "mount")
    host.start([SYSTEM_PYTHON, "-c", NAME_SERVER, *answer], ready=b"ready")
    for name, content in (
        ("resolv.conf", "nameserver 127.0.0.1\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ):
        (tmp_path / name).write_text(content)
    mounts = " && ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf"))

    def seconds(target: str) -> tuple[int, str, float]:
        start = time.monotonic()
        done = host.run(["unshare", "-m", "sh", "-c", f"{mounts} && exec {PORTCHECK} {target}"], check=False)
        return done.returncode, done.stderr, time.monotonic() - start

    found, said, took = seconds("shop.example:80")
    assert (found, message in said, took < 9) == (code, True, True), said
    for quick in ("localhost:80", "127.0.0.1:80", "127.1:80", "[::1]:80"):
        assert seconds(quick)[0] == 0
    assert seconds("nowhere.invalid:80")[0] == seconds("300.1.1.1:80")[0] == 2


# What the host refuses


@pytest.mark.parametrize("refused", [("clone",), ("clone", "clone3"), ("clone", "clone3", "sched_getaffinity")])
def test_without_fork_or_threads_one_process_does_it_all(refused: tuple[str, ...], host: Host, alone: Asked) -> None:
    numbers = seccomp.numbers()
    Stranger(host).start(
        f"import os\nfor _ in range({WORTH_A_FORK}): os.dup(0)",
        str(HIS),
        preexec_fn=lambda: limit_descriptors(WORTH_A_FORK + 100),
    )

    def sandbox() -> None:
        for name in refused:
            seccomp.refuse(numbers[name])

    done = subprocess.run(
        host.argv([str(PORTCHECK), str(INNOCENT)]), preexec_fn=sandbox, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (1, alone.out, alone.err)


def limit_descriptors(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def test_a_child_that_is_refused_or_lost_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    need()

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", refuse)
        assert fork.spread([1, 2, 3], lambda part: part * 2) == [2, 4, 6]
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", refuse)
        assert fork.spread([1, 2, 3], lambda part: part * 2) == [2, 4, 6]
    assert set(os.listdir("/proc/self/fd")) == before
    ours = os.getpid()

    def dies_in_a_child(part: int) -> int:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return part * 2

    assert fork.spread([1, 2], dies_in_a_child) == [2, 4]


def test_a_parent_that_ignores_its_children(host: Host, alone: Asked) -> None:
    """SIGCHLD stays ignored across exec: the kernel then waits for our child itself."""
    Stranger(host).start(
        f"import os\nfor _ in range({WORTH_A_FORK}): os.dup(0)",
        str(HIS),
        preexec_fn=lambda: limit_descriptors(WORTH_A_FORK + 100),
    )
    done = host.run(["sh", "-c", f"trap '' CHLD; exec {PORTCHECK} {INNOCENT}"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, alone.out, alone.err)


@pytest.mark.parametrize("error", [errno.EAFNOSUPPORT, errno.EPERM])
def test_a_family_that_a_sandbox_refuses_is_not_missing(error: int, host: Host) -> None:
    numbers = seccomp.numbers()

    def answer(target: str) -> dict[str, object]:
        done = subprocess.run(
            host.argv([str(PORTCHECK), target, "--json"]),
            preexec_fn=lambda: seccomp.refuse(numbers["socket"], error, first=socket.AF_INET6),
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        (result,) = json.loads(done.stdout)["results"]
        return dict(result)

    named = answer("[::1]:8000")
    assert (named["verdict"] in ("denied", "unavailable"), named["cause"]) == (True, "policy")
    assert "sandbox" in str(named["message"]) and "no IPv6" not in str(named["message"]).replace("make no IPv6", "")
    assert [spot["code"] for spot in named["blind_spots"]] == ["family-refused"]  # type: ignore[attr-defined]
    assert answer("127.0.0.1:8000")["complete"] is True


def test_closed_stderr_leaves_stdout_to_the_data(host: Host) -> None:
    host.hold("127.0.0.1", INNOCENT)
    done = host.run(["bash", "-c", f'x=$({PORTCHECK} pick 8000-8010 2>&-); echo "[$x]"'])
    assert done.stdout == "[8001]\n"
    done = host.run(["bash", "-c", f'x=$({PORTCHECK} pick 99999 2>&-); echo "[$x] $?"'])
    assert done.stdout == "[] 2\n"
    done = host.run(["bash", "-c", f'x=$({PORTCHECK} stop {INNOCENT} --json --dry-run 2>&-); echo "$x"'], check=False)
    assert json.loads(done.stdout)


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_no_file_gets_the_number_of_a_closed_stream(closed: str, host: Host, tmp_path: Path) -> None:
    need("strace")
    host.hold("127.0.0.1", INNOCENT)
    trace = tmp_path / "trace"
    command = f"strace -f -qq -e trace=open,openat,pipe2,socket -o {trace} {PORTCHECK} {INNOCENT} {closed}>&-"
    host.run(["bash", "-c", command], check=False)
    opened = [line for line in trace.read_text().splitlines() if re.search(rf"\) = {closed}$|\[{closed}, ", line)]
    ours = [line for line in opened if ".so" not in line and "/python" not in line and ".py" not in line]
    assert ours[-1:] == [] or "/dev/null" in ours[-1]


def test_memory_and_devices_that_are_not_there_are_no_bug(host: Host) -> None:
    done = host.run(["bash", "-c", f"ulimit -n 4; exec {PORTCHECK} {INNOCENT}"], check=False)
    assert "bug" not in done.stderr
    code = (
        "import sys\nfrom portcheck import __main__ as main\n"
        "def fails(request): raise MemoryError\n"
        "import portcheck.commands\nportcheck.commands.execute = fails\nsys.exit(main.run(sys.argv[1:]))"
    )
    for argv, status in ((["80"], 3), (["run", "80", "--", "true"], 125)):
        done = host.run([sys.executable, "-c", code, *argv], check=False)
        assert (done.returncode, done.stderr) == (status, "portcheck: there is not enough memory to look\n")
    script = f"mount -t tmpfs none /dev && {PORTCHECK} 8001-8400 --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = host.run(["unshare", "-m", "bash", "-c", script], check=False)
    assert done.stderr == "" and done.stdout.splitlines()[-1] in ("0", "1")


# Raises KeyboardInterrupt while the module with this number is being imported, as SIGINT does.
INTERRUPTED = """
import runpy, sys
class Interrupts:
    left = int(sys.argv.pop(1))
    def find_spec(self, name, path=None, target=None):
        if name.startswith("portcheck."):
            Interrupts.left -= 1
            if Interrupts.left == 0:
                raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
script = sys.argv.pop(1)
sys.argv[0] = script
runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 8, 12, 20, 30, 40])
def test_an_interrupt_while_modules_load(number: int) -> None:
    """(The first one is __main__ itself: Python is still looking for it.)"""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(number), str(PORTCHECK), "8000"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
