"""Commands for `portcheck run`, and runs that go on while a test looks at them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.namespaces import Host
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK

# Listens on $PORT at each address of its arguments, says "serving" and stays until its standard input ends.
# Files that the environment names: STARTED it makes first, GO and END it waits for, before listening and to the end.
SERVER = """
import os, socket, sys, time
def wait_for(file):
    while not os.path.exists(file):
        time.sleep(0.01)
if "STARTED" in os.environ:
    open(os.environ["STARTED"], "w").close()
    wait_for(os.environ["GO"])
port = int(os.environ["PORT"])
held = [
    socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, dualstack_ipv6=address == "::"
    )
    for address in sys.argv[1:]
]
print("serving", flush=True)
wait_for(os.environ["END"]) if "END" in os.environ else sys.stdin.read()
"""


class Gate:
    """Holds a SERVER between its start and its bind, while the test takes the port away from it."""

    def __init__(self, directory: Path) -> None:
        self._started, self._go = directory / "started", directory / "go"
        self.environ = {"STARTED": str(self._started), "GO": str(self._go)}

    def wait(self) -> None:
        """Until the command has started."""
        wait_for(self._started.exists, "the command has started")

    def open(self) -> None:
        self._go.touch()


class Running:
    """A run that goes on; what is said on its stderr is read line by line."""

    def __init__(self, host: Host, *args: str, ready: bytes = b"", env: dict[str, str] | None = None) -> None:
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        argv = ["env", *variables, str(PORTCHECK), "run", *args]
        self.program = host.start(argv, ready=ready, stderr=subprocess.PIPE)
        self.said: list[str] = []

    def hears(self, *words: str) -> str:
        """The next line of stderr that holds these words."""
        assert self.program.stderr is not None
        for line in self.program.stderr:
            self.said.append(line.decode().rstrip("\n"))
            if all(word in self.said[-1] for word in words):
                return self.said[-1]
        raise AssertionError(f"{words} not in {self.said}")

    def ends(self) -> int:
        """Its exit code once its standard input has ended."""
        assert self.program.stdin is not None
        assert self.program.stderr is not None
        self.program.stdin.close()
        self.said += self.program.stderr.read().decode().splitlines()
        return self.program.wait(PATIENCE)


def done(host: Host, *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a run to the end."""
    finished = host.portcheck("run", *args)
    return finished.returncode, finished.stdout, finished.stderr
