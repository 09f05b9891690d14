"""What is advised really helps: its words, as they are printed, pasted into a shell by whom they were given to.

Which advice is run where: `tests/unit/test_advice_is_run.py`.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.person import Person
from support.processes import NOBODY, SYSTEM_PYTHON
from support.servers_to_stop import IGNORES_SIGTERM, PLAIN, STARTS_IT_AGAIN

PORT = "8000"


def is_free(host: Host) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{PORT}"]).stdout == ""


def serve(host: Host, *argv: str, uid: int = NOBODY) -> subprocess.Popen[bytes]:
    return host.start([SYSTEM_PYTHON, "-c", *argv], ready=b"ready", uid=uid)


def test_what_only_root_sees_is_stopped_with_sudo(host: Host, person: Person) -> None:
    """By the path of this very portcheck, which is not where sudo looks for programs."""
    serve(host, PLAIN, uid=0)
    (words,) = person.asks(PORT)
    assert words == f"sudo {person.portcheck} stop {PORT}"
    assert person.asks("stop", PORT, "--yes") == [words]
    assert person.pastes(words) == 0
    assert is_free(host)


def test_one_of_two_is_stopped_by_its_pid(host: Host, person: Person) -> None:
    first, second = (host.hold(address, int(PORT), uid=NOBODY) for address in ("127.0.0.1", "127.0.0.2"))
    one, other = person.asks(PORT)
    assert person.pastes(f"{other} --settle 0") == 1  # the other one still holds it
    assert (first.poll(), second.wait(PATIENCE)) == (None, -signal.SIGTERM)
    assert person.pastes(one) == 0
    assert first.wait(PATIENCE) == -signal.SIGTERM


def test_ones_own_server_is_stopped_without(host: Host, person: Person) -> None:
    serve(host, PLAIN)
    (words,) = person.asks(PORT)
    assert words == f"portcheck stop {PORT}"
    assert person.pastes(words) == 0
    assert is_free(host)


def test_what_does_not_end_is_killed(host: Host, person: Person) -> None:
    serve(host, IGNORES_SIGTERM)
    (words,) = person.asks("stop", PORT, "--yes", "--timeout", "200ms")
    assert words == f"portcheck stop {PORT} --force"
    assert person.pastes(f"{words} --timeout 200ms --settle 0") == 0
    assert is_free(host)


def test_who_starts_it_again_is_ended_first(host: Host, person: Person) -> None:
    supervisor = serve(host, STARTS_IT_AGAIN, PLAIN)
    first, then = person.asks("stop", PORT, "--yes", "--settle", "500ms")
    assert first == f"kill {supervisor.pid}"
    assert person.pastes(first) == 0
    assert supervisor.wait(PATIENCE) == -signal.SIGTERM
    assert person.pastes(f"{then} --settle 0") == 0
    assert is_free(host)


SSHD = """\
ListenAddress 127.0.0.1:2222
HostKey {place}/key
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile {place}/key.pub
"""


def test_a_remote_forward_is_closed_with_its_session(host: Host, person: Person, tmp_path: Path) -> None:
    need("sshd", "ssh", "ssh-keygen")
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")])
    (tmp_path / "config").write_text(SSHD.format(place=tmp_path))
    host.run(["mkdir", "-p", "/run/sshd"])
    host.start(["/usr/sbin/sshd", "-D", "-f", str(tmp_path / "config")])
    wait_for(lambda: ":2222" in host.run(["ss", "-Hltn"]).stdout, "sshd listens")
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ExitOnForwardFailure=yes"]
    forward = ["-N", "-R", f"{PORT}:127.0.0.1:9", "-p", "2222", "-i", str(tmp_path / "key"), "root@127.0.0.1"]
    host.start(["ssh", "-q", *(word for option in options for word in ("-o", option)), *forward])
    wait_for(lambda: not is_free(host), "it listens for the client")
    (words,) = person.asks(PORT, uid=0)
    assert "it is a remote forward (ssh -R)" in host.portcheck(PORT).stdout
    assert person.pastes(f"{words} --settle 0", uid=0) == 0
    assert is_free(host)
