"""What scripts/test-kernels runs: tests of this checkout on other kernels, and a table of what came of them.

A job is one boot of one kernel, with one of the SUITES in a guest like this; two run at a time.  Whatever fails, does
not come to its end, or is skipped for a reason that is not ALLOWED there, is a disagreement.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from xml.etree import ElementTree

import user_mode_linux
from user_mode_linux import SUITES as RELEASES
from user_mode_linux import Boot, CannotBeHadError, Done, Linux

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("PORTCHECK_TEST_CACHE") or "~/.cache/portcheck-tests").expanduser() / "kernels"
SKIPPED = 77  # the exit code, as automake has it
AT_ONCE = 2  # each guest has one processor
TIMEOUT, LONG_TIMEOUT = 900, 4 * 3600  # seconds for one job


class Suite(NamedTuple):
    """Tests that run in one guest, in a form of this size (see tests/support/kernel_lab.py)."""

    name: str
    tests: str
    share: int = 1
    guest: Boot = Boot("")
    proof: str = "true"  # a shell condition: that the guest is as it was asked for


ASKED = "tests/kernels -k 'usual or told'"  # for guests which are a setting themselves
NO_IPV6 = Suite("no IPv6", ASKED, guest=Boot("", arguments=["ipv6.disable=1"]), proof="test ! -e /proc/sys/net/ipv6")
# The longest first, so that none is left over at the end.
SUITES = (
    Suite("matrix", "tests/system/test_matrix.py", 8),
    Suite("histories", "tests/system/test_histories.py", 8),
    Suite("outside", "tests/system/test_from_outside.py", 4),
    Suite("answers", "tests/system/test_answers_kernel.py", 8),
    Suite("no-harm", "tests/system/test_no_harm.py"),
    Suite("owners", "tests/system/test_owners.py"),
    Suite("sock_diag", "tests/system/test_sock_diag.py"),
    Suite("/proc/net", "tests/system/test_procnet.py"),
    Suite("VRF", "tests/system/test_vrf.py", 8),
    Suite("IPVS", "tests/system/test_redirections.py -k ipvs"),
    Suite("settings", "tests/kernels"),
    Suite("hidepid=2", ASKED, guest=Boot("", hidepid=2), proof="grep -q hidepid= /proc/mounts"),
    Suite("cgroup v1", ASKED, guest=Boot("", cgroups="v1"), proof="test -d /sys/fs/cgroup/pids"),
    NO_IPV6,
    Suite("no modules", ASKED, guest=Boot("", modules=False), proof="test ! -d /sys/module/udp_diag"),
)
USER_MODE = tuple(RELEASES)
# Words of a skip → on which kernels it is right; those of whole machines are named by their release of Debian.
ALLOWED = {
    # user-mode-linux is built without these
    "this kernel has no MPTCP": USER_MODE,
    "this kernel makes no such socket: [Errno 93]": USER_MODE,  # MPTCP
    "this kernel does not count its multipath sockets": USER_MODE,
    "this kernel has no nf_tables for IPv4": USER_MODE,
    "this kernel has no kcmp(2)": USER_MODE,
    "this kernel does not list bound-only sockets": ("5.10", "6.1", "bookworm"),  # since 6.8
    "this kernel does not name the files of an io_uring": ("5.10", "6.1", "6.12", "bookworm"),  # since 6.16
}


class Count(NamedTuple):
    """What one job showed."""

    passed: int = 0
    failed: tuple[str, ...] = ()  # names of tests, or what went wrong with the guest
    skipped: tuple[str, ...] = ()  # reasons
    compared: tuple[str, ...] = ()  # what the tests say that they compared

    @property
    def cell(self) -> str:
        """As it stands in the table."""
        words = [f"{self.passed} passed"] if self.passed else []
        words += [f"{len(self.failed)} FAILED"] if self.failed else []
        words += [f"{len(self.skipped)} skipped"] if self.skipped else []
        return ", ".join(words) or "nothing ran"


def main() -> int:
    options = arguments("scripts/test-kernels", USER_MODE, SUITES)
    # A script's background job ignores SIGINT, and what it starts would too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    started = time.monotonic()
    try:
        kernels = {version: had(version, renew=options.renew) for version in options.version}
    except CannotBeHadError as error:
        return skipped(str(error))
    jobs = [(suite, version) for suite in SUITES if suite.name in options.only for version in kernels]
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        counts = list(pool.map(lambda job: done(job[0], job[1], kernels[job[1]], long=options.long), jobs))
    finally:  # also where this is interrupted: no guest stays behind
        pool.shutdown(wait=False, cancel_futures=True)
        user_mode_linux.end_all()
    table = {(version, suite.name): count for (suite, version), count in zip(jobs, counts, strict=True)}
    print("\n".join([*details(table), "", *rows(table)]))
    wrong = [count for count in table.values() if count.failed or not count.passed]
    minutes = (time.monotonic() - started) / 60
    print(f"\nkernels: {len(table) - len(wrong)} of {len(table)} agree, in {minutes:.1f} minutes")
    return 1 if wrong else 0


def arguments(program: str, kernels: Sequence[str], suites: Sequence[Suite]) -> argparse.Namespace:
    names = [suite.name for suite in suites]
    parser = argparse.ArgumentParser(prog=program, description="Runs tests of this checkout on other kernels of Linux.")
    parser.add_argument("version", nargs="*", metavar="VERSION", help=f"of {', '.join(kernels)}; all if none is named")
    parser.add_argument("--only", nargs="+", metavar="TEST", help=f"of {', '.join(names)}")
    parser.add_argument("--long", action="store_true", help="at full length, which takes hours")
    parser.add_argument("--renew", action="store_true", help="fetch the kernels again")
    options = parser.parse_args()
    options.version = options.version or list(kernels)
    options.only = options.only or names
    for word, known in ((options.version, kernels), (options.only, names)):
        if unknown := set(word) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    return options


def interrupted(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def had(version: str, *, renew: bool) -> Linux:
    """A kernel that has been seen to start here."""
    if renew:
        shutil.rmtree(CACHE / version, ignore_errors=True)
    linux = user_mode_linux.fetch(version, CACHE)
    seen = in_guest(linux, Boot("uname -r", timeout=60))
    if seen.status != 0:
        lines = [line for line in seen.console.splitlines() if line.strip()] or ["it says nothing"]
        hint = " (a container lets it have ptrace with --cap-add=SYS_PTRACE)" if "ptrace" in lines[-1] else ""
        raise CannotBeHadError(f"{version} does not start here: {lines[-1].strip()}{hint}")
    print(f"{version}: Linux {seen.output.strip()}", flush=True)
    return linux


def skipped(reason: str) -> int:
    """That is no pass; where everything should be there it is a failure."""
    print(f"SKIPPED: tests on other kernels: {reason}")
    return 1 if os.environ.get("PORTCHECK_NO_SKIPS") else SKIPPED


def in_guest(linux: Linux, wanted: Boot) -> Done:
    with tempfile.TemporaryDirectory(prefix="portcheck-kernel.") as folder:
        return user_mode_linux.boot(linux, wanted, Path(folder).resolve())


def done(suite: Suite, version: str, linux: Linux, *, long: bool) -> Count:
    """Runs one job; says so, since the whole takes minutes."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portcheck-kernel.") as directory:
        folder = Path(directory).resolve()
        wanted = suite.guest._replace(
            command=command(suite, folder, long=long), readable=readable(), timeout=LONG_TIMEOUT if long else TIMEOUT
        )
        seen = user_mode_linux.boot(linux, wanted, folder)
        document = user_mode_linux.text(folder / "junit.xml")
    count = judged(document, seen, version)
    print(f"{version} {suite.name}: {count.cell}  ({time.monotonic() - started:.0f} s)", flush=True)
    return count


def command(suite: Suite, folder: Path, *, long: bool) -> str:
    """What the guest runs: nothing of it writes into the checkout, which could not be written to."""
    python = shlex.quote(sys.executable)
    settings = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PORTCHECK_TEST_SHARE": "1" if long else str(suite.share),
        "PORTCHECK_HYPOTHESIS": "busy",
        "PORTCHECK_GUEST": suite.name,
        "PATH": f"{Path(sys.executable).parent}:$PATH",
    }
    exported = "\n".join(f'export {name}="{value}"' for name, value in settings.items())
    options = (
        f"-q -p no:cacheprovider --tb=short --basetemp=/tmp/pytest --junitxml={shlex.quote(str(folder))}/junit.xml"
    )
    tests = f"{python} -m pytest {options}{' --long' * long} {suite.tests}"
    return f"{suite.proof} || exit\ncd {shlex.quote(str(CHECKOUT))}\n{exported}\n{tests}"


def readable() -> list[Path]:
    """What the guest's users need of this machine: this checkout, and the Python that this is with all its packages."""
    folders = [CHECKOUT, Path(sys.base_prefix), Path(sys.prefix), *map(Path, sys.path)]
    there = sorted({folder.resolve() for folder in folders if folder.is_dir()})
    return [folder for folder in there if not any(other in folder.parents for other in there)]


# What came of it.


def judged(document: str, seen: Done, version: str) -> Count:
    """What pytest's XML says, or why there is none."""
    try:
        cases = list(ElementTree.fromstring(document).iter("testcase"))
    except ElementTree.ParseError:
        last = next(filter(None, map(str.strip, reversed((seen.output + "\n" + seen.console).splitlines()))), "nothing")
        return Count(failed=(f"no result: {last}",))
    failed, reasons = [], []
    passed = 0
    for case in cases:
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        skip = case.find("skipped")
        reason = "" if skip is None else skip.get("message", "")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{name}: {first_line(case)}")
        elif skip is None:
            passed += 1
        elif is_allowed(reason, version):
            reasons.append(reason)
        else:
            failed.append(f"{name}: skipped: {reason}")
    return Count(passed, tuple(failed), tuple(reasons), compared(seen.output))


def first_line(case: ElementTree.Element) -> str:
    wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
    message = "" if wrong is None else wrong.get("message", "")
    return message.strip().partition("\n")[0][:300]


def is_allowed(reason: str, version: str) -> bool:
    return any(words in reason and version in versions for words, versions in ALLOWED.items())


def compared(output: str) -> tuple[str, ...]:
    """The lines of pytest's section of that name (tests/conftest.py), without those that go into details."""
    section = re.search(
        r"^=+ compared =+$(.*?)(?:^=|^\d+ (?:passed|failed|skipped)|\Z)", output, re.MULTILINE | re.DOTALL
    )
    lines = section.group(1).splitlines() if section else []
    return tuple(line for line in lines if line and not line.startswith(" "))


Table = dict[tuple[str, str], Count]


def details(table: Table) -> Iterable[str]:
    """What was compared, and whatever failed, job by job."""
    for (version, suite), count in table.items():
        for line in count.compared:
            yield f"{version}: {line}"
        for name in count.failed:
            yield f"FAILED {version} {suite}: {name}"


def rows(table: Table) -> Sequence[str]:
    """Tests down, kernels across, as a table that Markdown shows too."""
    versions = list(dict.fromkeys(version for version, _ in table))
    suites = list(dict.fromkeys(suite for _, suite in table))
    lines = [["", *versions]]
    lines += [[suite, *(table[version, suite].cell for version in versions)] for suite in suites]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return [texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]]


if __name__ == "__main__":
    sys.exit(main())
