"""The rooms of the house, read from the source: the order of floors, who may import what, who may have an effect."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import structure

# From the ground up.  A room imports from lower floors alone: nothing higher, nothing beside it.  A room is a module
# in the package's root, or a folder with all that is in it.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("namedtuple",),
    ("text", "toml", "exit_codes", "vocabulary", "lean_socket", "lean_functools"),
    ("traits",),
    ("model",),
    ("errors", "addresses"),
    ("target", "profiles", "requests"),
    ("rules", "identify", "cli"),
    ("observe", "remedies"),
    ("diagnosis", "leases"),
    ("chooser", "listing", "waiting", "stop"),
    ("reservation", "preflight", "watching"),
    ("verification",),
    ("run", "render", "api"),
    ("commands",),
    ("__init__",),
    ("__main__", "testing"),
)
LOOSE_AT_MOST = 18
# What somebody else would notice, or what comes from outside → the rooms that may use it.
EFFECTS = {
    "kill": {"stop", "run", "observe"},  # observe: a tool that it has started itself and that does not answer
    "killpg": {"stop", "run", "observe"},
    "pidfd_send_signal": {"stop"},
    "listen": {"run", "reservation"},
    "create_connection": {"observe"},  # for `wait` alone (observe/connect.py)
    "terminate": {"run"},
}
IMPORTS = {
    "psutil": {"observe"},
    "socket": {"observe", "run", "reservation", "addresses"},  # addresses: inet_pton and inet_ntop, which are pure
    "_socket": {"lean_socket"},
    "_functools": {"lean_functools"},
    "_collections": {"namedtuple"},
    "subprocess": {"observe", "run", "preflight"},
    "rich": {"render"},
    "typer": {"cli"},
    "pytest": {"testing"},
}
# Deciding is apart from the operating system.
PURE = (
    "namedtuple", "text", "exit_codes", "vocabulary", "model", "errors", "addresses", "target", "profiles", "requests",
    "rules", "identify", "remedies",
    "diagnosis.bind_table", "diagnosis.verdict", "diagnosis.sentence", "diagnosis.notes", "diagnosis.blind_spots",
    "diagnosis.redirections",
    "waiting.loop", "waiting.condition", "watching.changes", "watching.loop", "watching.board",
    "stop.plan", "stop.company", "stop.outcome", "run.proof", "preflight.judge",
    "verification.by_whom", "verification.places", "verification.judge", "verification.undeclared",
)  # fmt: skip
SYSTEM = {"os", "sys", "socket", "subprocess", "signal", "fcntl"}
# Which system this is, is asked where its back end is chosen, where its rules are, and for the record of its traits.
ASK_THE_PLATFORM = ("observe.system", "rules", "traits")
PLATFORM_WORDS = {"linux", "windows", "macos", "other", "win32", "darwin", "nt", "posix"}
# What takes long to import must not be imported at the head of a module.
SLOW = {
    *("typing", "dataclasses", "rich", "typer", "psutil", "subprocess", "ipaddress", "json", "re", "datetime"),
    *("functools", "collections", "enum"),
}
MODULES = structure.modules()
ARROWS = structure.graph()


def room(module: str) -> str:
    return module.partition(".")[0]


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in MODULES} == {name for floor in FLOORS for name in floor}


def test_the_root_is_easy_to_read() -> None:
    loose = [path.name for path in MODULES.values() if path.parent == structure.PACKAGE and path.name[0] != "_"]
    assert len(loose) <= LOOSE_AT_MOST, loose


def test_no_room_is_called_like_a_public_function() -> None:
    """Importing `portcheck.pick` would put the module in the place of the function."""
    import portcheck

    functions = {name for name in portcheck.__all__ if name.islower()}
    assert not functions & {room(module) for module in MODULES}


def test_nothing_imports_in_a_circle() -> None:
    assert structure.circles(ARROWS) == []


def test_imports_run_downwards() -> None:
    """All of them: for the type checker alone, and inside of functions, too."""
    height = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    wrong = [
        f"{module}:{line} imports {target}"
        for module, path in MODULES.items()
        for target, line in structure.imports(path)
        if room(target) != room(module) and height[room(target)] >= height[room(module)]
    ]
    assert wrong == []


def calls(module: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node.lineno


def test_effects_stay_in_their_rooms() -> None:
    wrong = [
        f"{module}:{line} calls {name}"
        for module in MODULES
        for name, line in calls(module)
        if name in EFFECTS and room(module) not in EFFECTS[name]
    ]
    # handing a bound socket to run's or reservation's own listen() is no effect of anybody else
    assert wrong == []


# What is decided is a value; render/ words it, escapes it, and makes none.
DECIDED = {"Advice", "BlindSpot", "Diagnosis", "Finding", "Note", "PortNote", "Remedy", "Sentence"}


def test_render_only_renders_and_is_the_only_one_to_escape() -> None:
    assert not [f"{module}:{line}" for module in MODULES if room(module) == "render" for name, line in calls(module)
                if name in DECIDED]  # fmt: skip
    escaping = {room(module) for module, targets in ARROWS.items() if "render.escape" in targets}
    assert escaping == {"render"}


def outside(module: str, *, head_only: bool = False) -> set[str]:
    """The packages that are imported, for more than the type checker."""
    found = set()
    body = tree(module).body
    checked = [node for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    nodes = body if head_only else [inner for node in body for inner in ast.walk(node)]
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("module", list(MODULES))
def test_only_its_rooms_import_a_package(module: str) -> None:
    used = outside(module) | ({"socket"} if "lean_socket" in ARROWS[module] else set())
    assert not {name for name, rooms in IMPORTS.items() if name in used and room(module) not in rooms}


def is_pure(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in PURE)


@pytest.mark.parametrize("module", [name for name in MODULES if is_pure(name)])
def test_deciding_neither_looks_nor_acts(module: str) -> None:
    used = outside(module) | ({"socket"} if "lean_socket" in ARROWS[module] else set())
    assert not used & (SYSTEM - {"socket"} if module == "addresses" else SYSTEM)
    assert not {target for target in ARROWS[module] if room(target) in ("observe", "render")}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) not in ("cli", "preflight")])
def test_what_is_slow_is_imported_where_it_is_used(module: str) -> None:
    assert not SLOW & outside(module, head_only=True)


def compared(module: str) -> Iterator[tuple[str, int]]:
    """Every comparison with the name of a system, and every question after sys.platform or os.name."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            words = {leaf.value for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Constant)}
            names = " ".join(map(ast.unparse, sides))
            if (words & PLATFORM_WORDS and "platform" in names.lower()) or "os.name" in names:
                yield ast.unparse(node), node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.platform", "os.name"):
            yield ast.unparse(node), node.lineno


def may_ask_the_platform(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in ASK_THE_PLATFORM)


@pytest.mark.parametrize("module", [name for name in MODULES if not may_ask_the_platform(name)])
def test_nobody_else_asks_which_system_this_is(module: str) -> None:
    assert list(compared(module)) == []


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in ("observe", "identify")])
def test_lines_end_with_a_newline_alone(module: str) -> None:
    """str.splitlines() ends them at form feeds, U+2028 and more, which a stranger's name may hold."""
    assert not [line for name, line in calls(module) if name == "splitlines"]


SYSTEMS = {"linux", "windows", "macos", "portable"}


def _system(module: str) -> str | None:
    """The operating system that a module is for."""
    parts = module.split(".")
    return parts[1] if parts[0] == "observe" and parts[1:2] and parts[1] in SYSTEMS else None


def test_a_back_end_is_imported_by_the_registry_alone() -> None:
    """Whatever is of no system works on all of them; a back end may use what the portable one is made of."""
    wrong = [
        f"{module} imports {target}"
        for module, targets in ARROWS.items()
        for target in targets
        if _system(target) not in (None, _system(module))
        and module != "observe.system"
        and not (_system(module) and _system(target) == "portable")
    ]
    assert wrong == ["__main__ imports observe.linux.fork"]  # the command line may fork its own process


def test_the_tests_of_the_house_can_fail() -> None:
    """Each reading of the source finds what it looks for somewhere."""
    assert any(name in EFFECTS for module in MODULES for name, _ in calls(module))
    assert any(True for module in MODULES for _ in compared(module))
    assert structure.circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [["a", "b"]]
    assert Path(MODULES["__init__"]).parent == structure.PACKAGE
