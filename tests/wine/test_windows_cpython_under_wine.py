"""portcheck installed by pip in a Windows CPython under Wine (not Windows), asked through portcheck.exe.

The network namespace is this run's own, so port numbers are as fixed as in the stories they come from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .machine import Holder, Machine

SCHEMA = json.loads((Path(__file__).parents[2] / "portcheck" / "schema.json").read_text(encoding="utf-8"))
PORT = 47500
FREE = 47501

# https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/10872
EXCLUDED_80 = """
Protocol tcp Port Exclusion Ranges

Start Port    End Port
----------    --------
        80          80
      5986        5986
     47001       47001

* - Administered port exclusions.

"""


@pytest.fixture
def service(windows: Machine) -> Iterator[Holder]:
    """The story that portcheck exists for: a Service.exe on the port that somebody wants."""
    with windows.holding("0.0.0.0", PORT) as holder:
        yield holder


def ask(machine: Machine, *argv: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of a --json command; the document is what the package's schema says."""
    done = machine.portcheck(*argv, "--json", env=env)
    assert done.stdout, done
    document = json.loads(done.stdout.decode("utf-8"))
    jsonschema.validate(document, SCHEMA)
    return done.code, document


def check(machine: Machine, *argv: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """The exit code and the only result of a check."""
    code, document = ask(machine, *argv, env=env)
    (result,) = document["results"]
    return code, result


def row(result: dict[str, Any], address: str) -> dict[str, Any]:
    (found,) = [bind for bind in result["binds"] if bind["address"] == address]
    return dict(found)


def codes(result: dict[str, Any]) -> set[str]:
    return {spot["code"] for spot in result["blind_spots"]}


def says_no_crash(stderr: bytes) -> bool:
    return b"Traceback" not in stderr and b"internal error" not in stderr


# --- who has the port


def test_service_exe_is_named_with_its_pid(windows: Machine, service: Holder) -> None:
    done = windows.portcheck(str(PORT))
    assert done.code == 1
    assert f"Port {PORT} is in use" in done.lines()[0]
    assert f"Service.exe (PID {service.pid}" in done.lines()[0]
    assert done.stderr == b""


def test_the_document_names_service_exe(windows: Machine, service: Holder) -> None:
    code, result = check(windows, str(PORT))
    assert (code, result["verdict"], result["cause"]) == (1, "in-use", "listener")
    (owner,) = result["owners"]
    assert (owner["pid"], owner["name"]) == (service.pid, "Service.exe")
    assert owner["command"] == [r"C:\holders\Service.exe", "0.0.0.0", str(PORT), "seen"]
    held = row(result, "0.0.0.0")
    assert (held["outcome"], held["blocked_by"] or held["shadows"]) == ("in-use", [0])


def test_a_free_port(windows: Machine, service: Holder) -> None:
    code, result = check(windows, str(FREE))
    assert (code, result["verdict"], result["sockets"], result["owners"]) == (0, "free", [], [])


def test_only_the_address_that_is_held(windows: Machine) -> None:
    with windows.holding("127.0.0.1", PORT):
        assert check(windows, f"127.0.0.1:{PORT}")[1]["verdict"] == "in-use"
        assert check(windows, f"127.0.0.2:{PORT}")[1]["verdict"] == "free"
        assert check(windows, str(PORT))[1]["verdict"] == "in-use"


def test_an_ipv6_listener_leaves_ipv4_alone(windows: Machine) -> None:
    with windows.holding("::1", PORT):
        assert check(windows, f"[::1]:{PORT}")[1]["verdict"] == "in-use"
        assert check(windows, f"127.0.0.1:{PORT}")[1]["verdict"] == "free"


def test_an_owner_that_cannot_be_seen_is_not_pid_0(windows: Machine) -> None:
    with windows.holding("0.0.0.0", PORT, "unseen"):
        code, result = check(windows, str(PORT))
        assert (code, result["verdict"], result["complete"]) == (1, "in-use", False)
        assert result["sockets"][0]["pids"] is None
        assert [owner for owner in result["owners"] if owner["pid"] is not None] == []
        assert "Idle" not in json.dumps(result)


def test_a_bound_socket_that_is_in_no_table_is_not_called_free(windows: Machine) -> None:
    with windows.holding("127.0.0.1", PORT, "bound"):
        code, result = check(windows, f"127.0.0.1:{PORT}")
        assert (code, result["verdict"], result["cause"], result["complete"]) == (1, "in-use", None, False)
        assert "holder-not-seen" in codes(result)


@pytest.mark.parametrize("name", ["W3SVC", "Dnscache"])
def test_svchost_is_told_by_its_service(windows: Machine, name: str) -> None:
    with windows.serving(name, PORT):
        code, result = check(windows, str(PORT))
        (owner,) = result["owners"]
        assert (code, owner["name"], owner["service"]) == (1, "svchost.exe", name)
        assert any(name in " ".join(advice["command"] or ()) for advice in result["advice"])
        assert name in "\n".join(windows.portcheck(str(PORT)).lines())


def test_list_shows_it(windows: Machine, service: Holder) -> None:
    assert windows.portcheck("list", str(PORT), "--pids").lines() == [str(service.pid)]
    code, document = ask(windows, "list", str(PORT))
    assert code == 0
    assert [owner["name"] for owner in document["owners"]] == ["Service.exe"]


# --- 10048, 10013, 10049


def test_10048_is_in_use(windows: Machine, service: Holder) -> None:
    assert row(check(windows, str(PORT))[1], "0.0.0.0")["error"] == "WSAEADDRINUSE"


def test_10013_beside_an_exclusive_listener_is_in_use(windows: Machine) -> None:
    with windows.holding("0.0.0.0", PORT, "exclusive") as holder:
        code, result = check(windows, f"0.0.0.0:{PORT}")
        assert (code, result["verdict"], result["cause"]) == (1, "in-use", "listener")
        assert [owner["pid"] for owner in result["owners"]] == [holder.pid]
        assert row(result, "0.0.0.0")["error"] == "WSAEACCES"


def test_10013_without_a_listener_is_denied(guarded_windows: Machine) -> None:
    code, result = check(guarded_windows, "0.0.0.0:80")
    assert (code, result["verdict"], result["sockets"]) == (1, "denied", [])
    assert row(result, "0.0.0.0")["error"] == "WSAEACCES"
    # Windows has no privileged ports, and no excluded range is known to hold this one
    assert result["cause"] not in ("privileged", "reserved")


def test_10013_in_an_excluded_range_is_reserved(guarded_windows: Machine, tmp_path: Path) -> None:
    for family in ("ipv4", "ipv6"):
        recording = tmp_path / f"interface_{family}_show_excludedportrange_protocol=tcp.txt"
        recording.write_bytes(EXCLUDED_80.replace("\n", "\r\n").encode("ascii"))
    env = {"NETSH_RECORDINGS": guarded_windows.path(tmp_path)}
    code, result = check(guarded_windows, "0.0.0.0:80", env=env)
    assert (code, result["verdict"], result["cause"]) == (1, "denied", "reserved")
    assert check(guarded_windows, "0.0.0.0:81", env=env)[1]["cause"] != "reserved"


def test_netsh_that_says_nothing_is_no_list_of_no_ranges(guarded_windows: Machine) -> None:
    _, result = check(guarded_windows, "0.0.0.0:80", env=guarded_windows.wines_own("netsh.exe"))
    assert (result["verdict"], result["complete"]) == ("denied", False)


def test_10049_is_unavailable(windows: Machine) -> None:
    code, result = check(windows, "192.0.2.1:80")
    assert (code, result["verdict"], result["cause"]) == (1, "unavailable", "address")


# --- exit codes and what is written


@pytest.mark.parametrize("target", ["0", "70000", "no-such-service", "9-1"])
def test_bad_input_is_one_line_and_2(windows: Machine, target: str) -> None:
    done = windows.portcheck(target)
    assert (done.code, done.stdout) == (2, b"")
    assert target in done.complaints()[0]
    assert says_no_crash(done.stderr)


def test_a_missing_import_is_70_and_no_verdict(windows: Machine, tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("raise ImportError('not there')", encoding="utf-8")
    done = windows.portcheck(str(FREE), env={"PYTHONPATH": windows.path(tmp_path)})
    assert (done.code, done.stdout) == (70, b"")


@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("check", "--help")])
def test_help_and_version(windows: Machine, argv: tuple[str, ...]) -> None:
    done = windows.portcheck(*argv)
    assert (done.code, done.stderr) == (0, b"")
    assert "portcheck" in done.lines()[0]


@pytest.mark.parametrize("encoding", [None, "cp437", "ascii"])
def test_a_name_that_the_code_page_lacks_is_no_crash(windows: Machine, encoding: str | None) -> None:
    folder = windows.prefix / "drive_c" / "holders"
    program = "Dienst\u2713\u4e2d.exe"
    shutil.copy(folder / "Service.exe", folder / program)
    env = {"PYTHONIOENCODING": encoding} if encoding else {}
    with windows.holding("0.0.0.0", PORT, program=program) as holder:
        done = windows.portcheck(str(PORT), "-v", env=env)
        assert done.code == 1
        assert says_no_crash(done.stderr)
        assert f"(PID {holder.pid}" in done.stdout.decode(encoding or "cp1252")
        assert check(windows, str(PORT), env=env)[1]["owners"][0]["name"] == program


# --- pick, wait, run, stop


def test_pick_skips_what_is_taken(windows: Machine, service: Holder) -> None:
    done = windows.portcheck("pick", "--lease=0", str(PORT), str(FREE))
    assert (done.code, done.lines()) == (0, [str(FREE)])
    assert str(PORT) in done.complaints()[0]
    assert f"Service.exe (PID {service.pid}" in done.complaints()[0]
    code, document = ask(windows, "pick", "--lease=0", str(PORT), str(FREE))
    assert (code, document["port"], len(document["candidates"])) == (0, FREE, 2)


def test_pick_without_a_free_candidate(windows: Machine, service: Holder) -> None:
    done = windows.portcheck("pick", str(PORT))
    assert (done.code, done.stdout) == (1, b"")


def test_what_was_picked_is_leased(windows: Machine) -> None:
    leased = str(FREE + 1)
    assert windows.portcheck("pick", leased).lines() == [leased]
    again = windows.portcheck("pick", leased)
    assert (again.code, again.stdout) == (1, b"")
    assert "handed out by another portcheck" in again.complaints()[0]


def test_wait(windows: Machine, service: Holder) -> None:
    assert windows.portcheck("wait", str(PORT)).code == 0
    assert windows.portcheck("wait", str(FREE), "--free").code == 0
    late = windows.portcheck("wait", str(PORT), "--free", "--timeout", "1")
    assert late.code == 124
    assert "Service.exe" in "\n".join(late.complaints())


def test_run_hands_over_the_free_candidate_and_its_status(windows: Machine, service: Holder) -> None:
    command = ("python.exe", "-c", "import os; print(os.environ['PORT']); raise SystemExit(7)")
    done = windows.portcheck("run", "--lease=0", str(PORT), str(FREE), "--", *command)
    assert (done.code, done.lines()) == (7, [str(FREE)])
    assert windows.portcheck("run", str(PORT), "--", *command).code == 125
    assert windows.portcheck("run", str(FREE), "--", "no-such-program").code == 127


def test_stop_frees_the_port_or_says_that_it_did_not(windows: Machine) -> None:
    with windows.holding("0.0.0.0", PORT):
        asked = windows.portcheck("stop", str(PORT))
        assert asked.code == 1, "nothing is stopped without --yes where nobody can be asked"
        assert check(windows, str(PORT))[1]["verdict"] == "in-use"
        stopped = windows.portcheck("stop", str(PORT), "--yes", "--force")
        assert says_no_crash(stopped.stderr)
        left = check(windows, str(PORT))[1]["verdict"]
        assert (stopped.code, left) in ((0, "free"), (1, "in-use"))


# --- Python


def test_the_api_and_its_lazy_imports(windows: Machine, service: Holder) -> None:
    done = windows.python(
        "import sys, portcheck\n"
        "print(sorted({'psutil', 'rich', 'typer'} & set(sys.modules)))\n"
        f"found = portcheck.check('{PORT}')\n"
        "print(found.verdict, found.to_dict()['owners'][0]['name'])\n"
        f"print(portcheck.pick(['{PORT}-{FREE}'], lease=0))\n"
    )
    assert done.lines() == ["[]", "in-use Service.exe", str(FREE)], done.complaints()
