"""What a question costs on a fleet, beside Ansible's own modules, in one run on the same hosts.

    scripts/bench-fleet [HOSTS]...        1, 10 and 50 unless named; needs root

Time is that of a whole task on all hosts, with ten forks; bytes are what went over the wires.
`community.general` comes with the package `ansible`, which is installed for this alone.  What is printed belongs into
docs/fleet.md: nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from fleet.fleet import Fleet, Plan  # noqa: E402

BIN = Path(sys.executable).parent
ROUNDS = {1: 5, 10: 5}  # of each number of hosts; two of any other
SHOP = ("shop", "8080", "127.0.0.1:5432", "3000", "53/udp")
ASKED = [80, 443, 8080, "127.0.0.1:5432"]
PING = "ansible.builtin.ping"
TASKS = {
    PING: {},
    "whyport.portcheck.check": {"targets": ASKED, "fail": False},
    "whyport.portcheck.check, brief": {"targets": ASKED, "fail": False, "detail": "brief"},
    "whyport.portcheck.list": {},
    "whyport.portcheck.preflight": {"ports": {"web": 80}},
    "community.general.listen_ports_facts": {},
}
CALLBACK = '''
import json, os, time
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: clock
type: aggregate
short_description: When each task started
description: For scripts/bench-fleet.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "clock"

    def _note(self, name):
        places = [f"/sys/class/net/{each}/statistics" for each in os.environ["DEVICES"].split(",")]
        sent = [int(open(f"{place}/{way}_bytes").read()) for place in places for way in ("tx", "rx")]
        with open(os.environ["CLOCK"], "a") as file:
            file.write(json.dumps([name, time.monotonic(), sum(sent[::2]), sum(sent[1::2])]) + "\\\\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._note(task.name)

    def v2_playbook_on_stats(self, stats):
        self._note("")
'''


def measure(count: int, collections: Path, *, pipelining: bool) -> None:
    """One play of several rounds, with every task in each of them; the first is for connections and caches."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        folder.chmod(0o755)
        (folder / "clock.py").write_text(CALLBACK.replace("\\\\n", "\\n"), encoding="utf-8")
        tasks = [
            {"name": f"{number} {name}", name.partition(",")[0]: arguments}
            for number in range(ROUNDS.get(count, 2) + 1)
            for name, arguments in TASKS.items()
        ]
        (folder / "play.yml").write_text(json.dumps([{"hosts": "fleet", "gather_facts": False, "tasks": tasks}]))
        plans = [Plan(f"host-{number}", (SHOP,)) for number in range(count)]
        with Fleet(folder / "fleet", plans) as fleet:
            inventory = fleet.inventory()
            environment = {
                "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(collections),
                "ANSIBLE_CALLBACK_PLUGINS": str(folder),
                "ANSIBLE_CALLBACKS_ENABLED": "clock",
                "ANSIBLE_PIPELINING": str(int(pipelining)),
                "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
                "ANSIBLE_FORKS": "10",
                "CLOCK": str(folder / "clock.json"),
                "DEVICES": ",".join(host.device for host in fleet.hosts.values()),
            }
            played = [str(BIN / "ansible-playbook"), "-i", str(inventory), str(folder / "play.yml")]
            sysfs = ["unshare", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys; exec "$@"', "sh"]
            done = subprocess.run(
                fleet.command([*sysfs, *played]), env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr
            notes = [json.loads(line) for line in (folder / "clock.json").read_text().splitlines()]
    tell(count, notes, pipelining=pipelining)


def tell(count: int, notes: Sequence[tuple[str, float, int, int]], *, pipelining: bool) -> None:
    """A table: medians of the rounds, and of the ratios within each round, which a busy machine leaves alone."""
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in TASKS}
    for (label, start, to, back), (_, end, to_end, back_end) in pairwise(notes):
        number, _, name = label.partition(" ")
        if number != "0":
            taken[name].append((end - start, (to_end - to) / count, (back_end - back) / count))
    print(f"\n{count} hosts, {'with' if pipelining else 'without'} pipelining\n")
    print("| module | ms a host | times ping | sent to a host | back |\n|---|---|---|---|---|")
    for name, rounds in taken.items():
        seconds = statistics.median(each[0] for each in rounds)
        ratio = statistics.median(each[0] / ping[0] for each, ping in zip(rounds, taken[PING], strict=True))
        to, back = (statistics.median(each[column] for each in rounds) / 1000 for column in (1, 2))
        print(f"| `{name}` | {seconds / count * 1000:.0f} | {ratio:.2f} | {to:,.0f} kB | {back:,.0f} kB |", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        collections = Path(work, "collections")
        extra = Path(work, "extra")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(extra), "ansible"]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        sys.path.insert(0, str(ROOT / "scripts"))
        import collection

        collection.stage(collections)
        general = collections / "ansible_collections" / "community"
        general.symlink_to(extra / "ansible_collections" / "community")
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}")
        for count in map(int, sys.argv[1:] or ("1", "10", "50")):
            for pipelining in (True, False):
                measure(count, collections, pipelining=pipelining)


if __name__ == "__main__":
    main()
