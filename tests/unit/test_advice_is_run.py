"""A table of all advice that has a command, and of the test that runs it as it is given, or why none can.

Held against the records of `remedies/` and the code itself: advice that no test runs fails here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import portcheck
from portcheck.remedies import catalogue
from portcheck.remedies.catalogue import Remedy
from portcheck.remedies.kinds import KINDS

PACKAGE = Path(portcheck.__file__).parent
TESTS = Path(__file__).parents[1]

PASTED = "cli/test_pasted_advice.py::"
STOP = "cli/test_stop.py::"
SYSTEMD = "system/test_stop_systemd.py::"
DOCKER = "system/test_stop_docker.py::"
OWN = PASTED + "test_ones_own_server_is_stopped_without"
WINDOWS = "not run: Windows"
MACOS = "not run: macOS"

# Kind of holder, or cause: its commands, and the tests that run them.
RUN: dict[str, dict[str, str]] = {
    "unanswered-to-user": {
        "portcheck stop": "hostile/test_claims.py::test_roots_supervisord_with_roots_program_and_anothers"
    },
    "windows-port-proxy": {"netsh interface": WINDOWS},
    "iis": {"Stop-Service": WINDOWS},
    "homebrew": {"brew services": MACOS},
    "launchd-job": {"launchctl bootout": MACOS},
    "windows-service": {"Stop-Service": WINDOWS},
    "nspawn": {
        "machinectl poweroff": SYSTEMD + "test_a_container_of_nspawn",
        "machinectl terminate": SYSTEMD + "test_a_container_of_nspawn",
    },
    "containerd-task": {
        "ctr --signal=SIGTERM": DOCKER + "test_a_container_that_only_its_shim_tells_of",
        "ctr --signal=SIGKILL": DOCKER + "test_a_container_that_only_its_shim_tells_of",
    },
    "containerd": {"nerdctl stop": "not run: Debian 12 has no nerdctl"},
    "lxc": {"lxc-stop": "system/test_stop_rarer_managers.py::test_a_container_of_lxc"},
    "swarm": {"docker service": DOCKER + "test_a_service_of_a_swarm_is_scaled_down"},
    "unnamed-container": {"{engine} ps": DOCKER + "test_an_ordinary_user_is_told_where_to_look"},
    "compose": {
        "docker compose": DOCKER + "test_what_is_advised_for_a_service_of_compose_frees_its_port",
        "{engine} stop": DOCKER + "test_what_is_advised_for_a_container_frees_its_port",
    },
    "container": {"{engine} stop": "hostile/test_podman.py::test_her_container_is_named_and_stopped_as_her"},
    "circus-socket": {
        "circusctl reloadconfig": "hostile/test_circus.py::test_of_two_with_a_program_of_one_name_the_right_one_is_told"
    },
    "supervisord": {"supervisorctl stop": STOP + "test_supervisord_is_asked_to_stop_its_program"},
    "pm2": {
        "pm2 stop": "hostile/test_pm2.py::test_of_two_daemons_with_a_program_of_one_name_the_right_one_is_told"
    },
    "runit": {"sv down": STOP + "test_runit_is_asked_to_take_its_service_down"},
    "s6": {"s6-svc -d": STOP + "test_s6_is_asked_to_take_its_service_down"},
    "daemontools": {"svc -d": STOP + "test_daemontools_is_asked_to_take_its_service_down"},
    "circus": {
        "circusctl stop": "hostile/test_circus.py::test_of_two_with_a_program_of_one_name_the_right_one_is_told"
    },
    "dinit": {"dinitctl stop": "not run: Debian 12 has no dinit"},
    "OpenRC": {"rc-service": "system/test_stop_rarer_managers.py::test_a_service_that_openrc_supervises"},
    "monit": {"monit stop": "hostile/test_monit.py::test_what_it_keeps_running_is_stopped_there"},
    "ssh-session": {"portcheck stop": PASTED + "test_a_remote_forward_is_closed_with_its_session"},
    "super-server-unit": {
        "systemctl stop": SYSTEMD + "test_the_unit_of_a_super_server_is_stopped_or_reads_its_file_again",
        "kill -HUP": SYSTEMD + "test_the_unit_of_a_super_server_is_stopped_or_reads_its_file_again",
    },
    "super-server": {
        "portcheck stop": OWN,
        "kill -HUP": STOP + "test_inetd_is_named_with_the_file_that_makes_it_listen",
    },
    "user-socket-unit": {"systemctl stop": SYSTEMD + "test_a_socket_unit_of_a_user"},
    "socket-unit": {
        "systemctl stop": SYSTEMD + "test_what_is_advised_for_a_socket_unit_frees_its_port",
        "systemctl disable": SYSTEMD + "test_what_is_advised_for_a_socket_unit_frees_its_port",
    },
    "user-service": {"systemctl stop": SYSTEMD + "test_a_user_service"},
    "resolver": {
        "sh -c": SYSTEMD + "test_the_resolver_is_not_stopped_but_lets_go_of_the_port",
        "ln -sf": SYSTEMD + "test_the_resolver_is_not_stopped_but_lets_go_of_the_port",
        "systemctl stop": SYSTEMD + "test_the_resolver_is_not_stopped_but_lets_go_of_the_port",
    },
    "service": {
        "systemctl stop": SYSTEMD
        + "test_to_an_ordinary_user_the_service_is_named_although_its_processes_are_hidden"
    },
    "launchd": {"launchctl print": MACOS},
    "manager": {"systemctl list-sockets": SYSTEMD + "test_the_service_manager_itself_is_never_stopped"},
    "user-manager": {"systemctl list-sockets": "not run: no systemctl answers there, and root is asked first"},
    "hidden": {"portcheck stop": PASTED + "test_what_only_root_sees_is_stopped_with_sudo"},
    "watched": {"portcheck stop": STOP + "test_a_shell_that_starts_it_again_is_ended_with_it"},
    "wsl": {"wsl --shutdown": WINDOWS},
    "forwarder": {"portcheck stop": STOP + "test_socat"},
    "stopped": {"portcheck stop": STOP + "test_a_process_that_was_stopped"},
    "apache": {"apachectl stop": SYSTEMD + "test_a_server_that_was_started_by_hand"},
    "nginx": {"nginx -s": SYSTEMD + "test_a_server_that_was_started_by_hand"},
    "leftover": {"portcheck stop": SYSTEMD + "test_what_a_oneshot_has_left_behind_is_ended_itself"},
    "with-others": {"portcheck stop": "hostile/test_honcho.py::test_what_is_named_before_is_what_ends"},
    "orphaned": {"portcheck stop": STOP + "test_workers_whose_main_process_is_gone"},
    "plain": {"portcheck stop": OWN},
    "connection": {"sysctl -w": "cli/test_advice.py::test_a_connection_that_took_it_by_chance"},
    "privileged": {"sysctl -w": "cli/test_advice.py::test_a_privileged_port"},
    "reserved": {"netsh interface": WINDOWS, "net stop": WINDOWS, "net start": WINDOWS},
    "UNENDED": {"portcheck stop --force": PASTED + "test_what_does_not_end_is_killed"},
    "ONE_OF_SEVERAL": {"portcheck stop --pid": PASTED + "test_one_of_two_is_stopped_by_its_pid"},
    "RESTARTED": {
        "kill": PASTED + "test_who_starts_it_again_is_ended_first",
        "portcheck stop": PASTED + "test_who_starts_it_again_is_ended_first",
    },
}  # fmt: skip

# What a blind spot or an error advises, as the code writes it; what is only handed on is left out.
SAID: dict[str, str] = {
    "AS_ROOT": PASTED + "test_what_only_root_sees_is_stopped_with_sudo",
    "OUTSIDE": "no command",
    "LEASED if search.leases_are_in_the_way else None": "no command",
    "LEASED if any((one.verdict == 'free' for one in not_free)) else None": "no command",
    "SEARCHED": "no command",
    "NEVER_UNASKED": "no command",
    "elsewhere or ('', '')": (
        "cli/test_voice.py::test_a_command_that_is_not_ready_is_told_where_it_listens_and_what_to_add"
    ),
    "None if own_uid() == 0 else AS_ROOT": PASTED + "test_what_only_root_sees_is_stopped_with_sudo",
    "AS_ROOT if helps else None if _has_possible_holders(scene) else OUTSIDE": (
        PASTED + "test_what_only_root_sees_is_stopped_with_sudo"
    ),
    "WITH_A_PLAIN_BIND": "system/test_older_kernels.py::test_a_free_port_is_free_for_servers_with_the_option",
    "'modprobe tcp_diag udp_diag, as root of this machine'": "not run: no kernel here has it as a module",
    "_other_system(release, version)": "no command",
    "(f'{LIST} is refused here, as sandboxes do: {error}', OUTSIDE)": "no command",
    "(f'{LIST} cannot be read here: {error}', None)": "no command",
    "f\"see whether '{LISTS[engine]}' answers\"": "system/test_stop_rarer_managers.py::test_a_container_of_lxc",
    "\"see whether 'systemctl list-sockets' answers\"": (SYSTEMD + "test_the_service_manager_itself_is_never_stopped"),
    "install_hint('psutil')": "not run: from the index; its words are in unit/test_ourselves.py",
    "install_hint(package, 'preflight')": "not run: from the index; its words are in unit/test_ourselves.py",
    "f\"{install_hint('psutil')}, or run portcheck outside of the sandbox or container\"": (
        "not run: from the index; its words are in unit/test_ourselves.py"
    ),
    "f\"switch them on: COMPOSE_PROFILES={quote(profiles)} {' '.join(called())} {command}\"": (
        "cli/test_preflight.py::test_nothing_to_check_is_2"
    ),
    "'netsh http show servicestate view=requestq'": WINDOWS,
    "f'netsh interface ipv4 show excludedportrange {finding.protocol}'": WINDOWS,
    "f'add to $PROFILE: {IN_PROFILE}'": "not run: PowerShell",
    "f\"portcheck --show-completion {'|'.join(SHELLS.words)}\"": (
        "cli/test_completion.py::test_where_it_cannot_be_put_it_says_what_to_do"
    ),
    "'this is a bug in portcheck, not an answer; PORTCHECK_TRACEBACK=1 shows where'": "no command",
    "install_hint('mcp', 'mcp')": "not run: from the index; its words are in unit/test_ourselves.py",
    "'call again when it is over'": "no command",
    "'ask about fewer ports'": "no command",
    "f'it takes {arguments_taken}'": "no command",
    "advised or None": "no command",
    "'take a Python with ctypes for `portcheck run`'": "no command",
    "'a server that wants one answers 401: --status 401'": "cli/test_wait_peers.py::test_a_peers_case",
}
HANDED_ON = re.compile(
    r"(\w+\.)?remedy\b.*|kind\.stop or kind\.remedies\[0\]|.*--help.*|.* needs (a target|candidates), .*"
)
# Which argument of a call is a remedy.
PLACES = {"BlindSpot": 2, "complain": 1, "PreflightError": 3, "PortcheckError": 1, "UsageError": 1}


def said() -> Iterator[str]:
    """The expressions that the code gives as remedies."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                place = PLACES.get(ast.unparse(node.func).rpartition(".")[2])
                given = node.args[place : place + 1] if place is not None else []
                given += [each.value for each in node.keywords if each.arg == "remedy"]
                yield from (ast.unparse(each) for each in given if not isinstance(each, ast.Starred))
            elif isinstance(node, ast.Assign) and "remedy" in {
                each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)
            }:
                yield ast.unparse(node.value)


def test_every_remedy_that_is_said_is_in_the_table() -> None:
    assert {each for each in said() if not HANDED_ON.fullmatch(each)} == set(SAID)


def remedies() -> Iterator[tuple[str, Remedy]]:
    """Every record that has a command, with the kind or cause that it belongs to."""
    for kind in KINDS:
        yield from ((kind.name, remedy) for remedy in (*kind.remedies, *((kind.stop,) if kind.stop else ())))
    for causes in (catalogue.BY_CAUSE, catalogue.BY_CAUSE_WHILE_FREE):
        yield from ((cause, remedy) for cause, several in causes.items() for remedy in several)
    for name, value in vars(catalogue).items():
        several = (value,) if isinstance(value, Remedy) else value if isinstance(value, tuple) else ()
        yield from ((name, remedy) for remedy in several if isinstance(remedy, Remedy) and name not in SHARED)


SHARED = ("STOP_CONTAINER",)  # which the kinds use


def said_as(remedy: Remedy, called: str) -> bool:
    """Whether a command is the one that the table calls so: its program, and words of it in their order."""
    program, *words = called.split()
    return remedy.command[0] == program and all(word in remedy.command for word in words)


def test_every_command_that_is_advised_is_in_the_table() -> None:
    missing = [
        (kind, remedy.command)
        for kind, remedy in remedies()
        if remedy.command and not any(said_as(remedy, called) for called in RUN.get(kind, {}))
    ]
    assert not missing


def test_the_table_names_nothing_that_is_not_advised() -> None:
    given = list(remedies())
    stale = [
        (kind, called)
        for kind, commands in RUN.items()
        for called in commands
        if not any(kind == name and remedy.command and said_as(remedy, called) for name, remedy in given)
    ]
    assert not stale


TOLD = {place for commands in RUN.values() for place in commands.values()} | {*SAID.values()}


@pytest.mark.parametrize("place", sorted(place for place in TOLD if not place.startswith(("not run: ", "no command"))))
def test_the_test_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
