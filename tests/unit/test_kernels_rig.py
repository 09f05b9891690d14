"""What scripts/test-kernels makes of its guests' results, and how it sets a guest up; nothing is booted here."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import kernels
import pytest
import user_mode_linux
import whole_machine
from kernels import Count
from user_mode_linux import Boot, CannotBeHadError, Done, Linux

OUTPUT = """
=== test session starts ===
=================================== compared ===================================
matrix tcp: 9,760 pairs, 0 not as the kernel
  bound: 10 refused
=========================== short test summary info ============================
1 passed
"""
FINISHED = Done(0, OUTPUT, "")


def document(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def case(inside: str = "") -> str:
    return f'<testcase classname="tests.system.test_matrix" name="test_it">{inside}</testcase>'


def skip(reason: str) -> str:
    return case(f'<skipped type="pytest.skip" message="{reason}">there</skipped>')


def test_what_passed_is_counted_with_what_it_compared() -> None:
    count = kernels.judged(document(case(), case()), FINISHED, "6.1")
    assert count == Count(2, compared=("matrix tcp: 9,760 pairs, 0 not as the kernel",))
    assert count.cell == "2 passed"


def test_the_comparisons_are_found_where_no_summary_follows() -> None:
    output = "=== compared ===\nhistories: 500, 0 falsely free\n  in these states: LISTEN\n2 passed in 3.21s\n"
    assert kernels.compared(output) == ("histories: 500, 0 falsely free",)
    assert kernels.compared("2 passed in 3.21s\n") == ()


@pytest.mark.parametrize("element", ["failure", "error"])
def test_a_failure_is_named_with_its_first_line(element: str) -> None:
    count = kernels.judged(document(case(), case(f'<{element} message="no&#10;more"/>')), FINISHED, "6.1")
    assert (count.passed, count.failed) == (1, ("test_matrix::test_it: no",))
    assert count.cell == "1 passed, 1 FAILED"


@pytest.mark.parametrize(
    ("version", "reason", "allowed"),
    [
        ("6.1", "this kernel has no MPTCP", True),
        ("newest", "this kernel has no MPTCP", True),
        ("6.1", "this kernel does not list bound-only sockets", True),
        ("6.12", "this kernel does not list bound-only sockets", False),
        ("6.1", "needs nft", False),
    ],
)
def test_a_skip_is_a_disagreement_unless_it_is_allowed_there(version: str, reason: str, allowed: bool) -> None:
    count = kernels.judged(document(skip(reason)), FINISHED, version)
    assert count.skipped == ((reason,) if allowed else ())
    assert count.failed == (() if allowed else (f"test_matrix::test_it: skipped: {reason}",))


@pytest.mark.parametrize("text", ["", "<testsuites><testsuite>"])
def test_a_guest_that_did_not_come_to_its_end_has_failed(text: str) -> None:
    count = kernels.judged(text, Done(None, "", "Kernel panic\n\nnot done within 420 s\n"), "6.1")
    assert count == Count(failed=("no result: not done within 420 s",))
    assert Count().cell == "nothing ran"


def test_the_table_has_tests_down_and_kernels_across() -> None:
    table = {("5.10", "matrix"): Count(3, skipped=("x",)), ("6.1", "matrix"): Count(2, ("it",))}
    assert kernels.rows(table) == [
        "|        | 5.10                | 6.1                |",
        "|--------|---------------------|--------------------|",
        "| matrix | 3 passed, 1 skipped | 2 passed, 1 FAILED |",
    ]
    assert list(kernels.details(table)) == ["FAILED 6.1 matrix: it"]


@pytest.mark.parametrize(("no_skips", "status"), [("", 77), ("1", 1)])
def test_a_rig_that_cannot_be_had_is_no_pass(
    no_skips: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTCHECK_NO_SKIPS", no_skips)
    monkeypatch.setattr("sys.argv", ["kernels.py", "6.1"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert kernels.main() == status
    assert capsys.readouterr().out == "SKIPPED: tests on other kernels: user-mode-linux needs Linux on x86-64\n"


def test_the_mirror_is_the_one_of_this_machines_own_release(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "http://b/security bookworm-security main\nhttp://a/debian bookworm main\nhttp://c/x nodistro main\n"
    monkeypatch.setattr(user_mode_linux, "run", lambda argv: listed)
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert user_mode_linux.mirror() == "http://a/debian"
    release["VERSION_CODENAME"] = "trixie"
    with pytest.raises(CannotBeHadError, match="no source"):
        user_mode_linux.mirror()


def test_a_kernel_comes_with_the_packages_that_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {
        "linux-image-amd64": "linux-base-amd64 linux-image-7.3.4-amd64",
        "linux-image-7.3.4-amd64": "kmod linux-base linux-binary-7.3.4-amd64 linux-modules-7.3.4-amd64",
        "linux-modules-7.3.4-amd64": "linux-base-7.3.4-amd64",
    }

    def shown(argv: list[str], *, env: dict[str, str]) -> str:
        return "".join(f"  Depends: {name}\n" for name in needed.get(argv[-1], "").split())

    monkeypatch.setattr(whole_machine, "run", shown)
    assert whole_machine.packages({}) == [
        f"linux-{part}-7.3.4-amd64" for part in ("image", "binary", "modules", "base")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wanted", [Boot("true"), Boot("true", hidepid=2), Boot("true", cgroups="v1"), Boot("true", modules=False)]
)
def test_what_a_guest_starts_with_is_a_shell_script(wanted: Boot, tmp_path: Path) -> None:
    script = user_mode_linux.init_script(Linux(tmp_path / "linux", tmp_path), wanted, tmp_path / "a job")
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    assert ("hidepid=2" in script) == bool(wanted.hidepid)
    assert ("udp_diag" in script) == wanted.modules
    assert ("cgroup2" in script) == (wanted.cgroups == "v2")


def test_what_lies_below_a_private_directory_is_mounted_for_everybody() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # pytest's own is private
        private = Path(directory)
        checkout, folder = private / "checkout", Path("/tmp/job")
        checkout.mkdir()
        assert user_mode_linux.closed(checkout) == private
        assert user_mode_linux.closed(folder) is None
        mounts = list(user_mode_linux.covers([checkout], folder))
        private.chmod(0o755)
        assert user_mode_linux.closed(checkout) is None
    assert mounts[-1] == f"mkdir -p {folder}; mount -w -t hostfs -o {folder} none {folder}"
    assert [line for line in mounts if f"mount -r -t hostfs -o {checkout} " in line]
