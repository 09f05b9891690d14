"""What scripts/structure prints: the house in numbers, and what an answer costs in moves between its files.

`tests/unit/test_house.py` reads the imports by the same functions.
"""

from __future__ import annotations

import ast
import contextlib
import io
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""
PACKAGE = Path(__file__).resolve().parents[1] / "portcheck"


def modules() -> dict[str, Path]:
    """Every module by its name below the package: `observe.linux.sock_diag`; a package is itself, the root is ``."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return names


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(what, line) of every import of our own, wherever it stands; for a name in a module, the module."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "portcheck":
            package = (node.module or "").partition(".")[2]
            for alias in node.names:
                whole = f"{package}.{alias.name}".lstrip(".")
                yield (whole if whole in known else package or "__init__"), node.lineno


def graph() -> dict[str, set[str]]:
    """Which of our own modules each one imports."""
    return {name: {target for target, _ in imports(path)} - {name} for name, path in modules().items()}


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in arrows[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in index:
            visit(name)
    return found


def rooms() -> dict[str, set[str]]:
    """The same between rooms: a room is a module in the root, or a folder with all that is in it."""
    arrows: dict[str, set[str]] = {}
    for name, targets in graph().items():
        room = name.partition(".")[0]
        arrows.setdefault(room, set()).update({target.partition(".")[0] for target in targets} - {room})
    return arrows


def floors(arrows: Mapping[str, set[str]]) -> int:
    """How many floors there are if every room stands right above the highest that it imports; circles share one."""
    together = {room: group[0] for group in circles(arrows) for room in group}
    height: dict[str, int] = {}

    def stand(room: str) -> int:
        if room not in height:
            height[room] = 0
            members = [one for one in arrows if together.get(one, one) == together.get(room, room)]
            below = {target for one in members for target in arrows[one]} - set(members)
            height[room] = 1 + max(map(stand, below), default=0)
        return height[room]

    return max(map(stand, arrows))


def function_lengths() -> list[int]:
    """Lines of every function, in ascending order."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds)
    )


def moves(argv: list[str]) -> tuple[int, int]:
    """(calls from one of our files into another, our modules that are imported) of one command line."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import structure as s; s.tell(sys.argv[2:])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), *argv],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    calls, count = done.stderr.split()[-2:]
    return int(calls), int(count)


def trace(argv: list[str]) -> tuple[int, int]:
    """Runs a command line in this process, and counts."""
    root = str(PACKAGE)
    count = 0

    def profile(frame: object, event: str, _: object) -> None:
        nonlocal count
        if event == "call":
            code = frame.f_code  # type: ignore[attr-defined]
            caller = frame.f_back  # type: ignore[attr-defined]
            if code.co_name != "<module>" and caller and code.co_filename.startswith(root):
                above = caller.f_code.co_filename
                count += above.startswith(root) and above != code.co_filename

    from portcheck.__main__ import run

    sys.setprofile(profile)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run(argv)
    sys.setprofile(None)
    return count, sum(name.split(".")[0] == "portcheck" for name in sys.modules)


def tell(argv: list[str]) -> None:
    """What `trace` counts, to stderr: stdout may be anybody's."""
    print(*trace(argv), file=sys.stderr)


def main() -> None:
    names, arrows, lengths = modules(), graph(), function_lengths()
    root = [name for name in names if "." not in name and names[name].parent == PACKAGE]
    print(f"files {len(names)}, in the root {len(root)}, folders {len({path.parent for path in names.values()}) - 1}")
    print(f"circles {len(circles(arrows))}, of {[len(group) for group in circles(arrows)]} files")
    between = rooms()
    back = sum(len(between[room] & set(group)) for group in circles(between) for room in group)
    print(
        f"rooms {len(between)}, floors {floors(between)}, arrows {sum(map(len, between.values()))}, in circles {back}"
    )
    p90 = lengths[len(lengths) * 9 // 10]
    print(f"functions {len(lengths)}: median {statistics.median(lengths):.0f} lines, p90 {p90}, longest {lengths[-1]}")
    server = subprocess.Popen(
        [sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    port = server.stdout.readline().strip()
    print("`PORT` held: {} moves, {} modules".format(*moves([port])))
    print("`stop PORT`: {} moves, {} modules".format(*moves(["stop", port, "--yes"])))
    server.communicate()


if __name__ == "__main__":
    main()
