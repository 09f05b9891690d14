"""The rooms of the house: who may import what, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "portcheck"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
# module → the rooms (first part of the path, without .py) that may import it
ALLOWED = {
    "psutil": {"observe", "act"},
    "socket": {"observe", "act", "addresses"},  # addresses: inet_pton and inet_ntop, which are pure
    "subprocess": {"observe", "act", "preflight"},
    "rich": {"render"},
    "typer": {"cli"},
    "portcheck.cli": {"__main__", "cli"},
    "portcheck.act": {"act", "commands", "api", "__init__"},
}
PURE = {
    "model", "value", "errors", "addresses", "target", "servers", "ways", "examine", "diagnose", "message", "notes",
    "blindness", "advise", "remedies", "rules", "identify", "request", "quick", "waiting",
    "standing", "summary", "proof", "holders", "kinds", "filling", "stopping", "stopped",
}  # fmt: skip
# What takes long to import must not be imported at the head of a module on the quick way.
SLOW = {"typing", "dataclasses", "rich", "typer", "psutil", "subprocess", "ipaddress", "json", "re", "datetime"}


def imports(module: Path, *, head_only: bool = False) -> Iterator[str]:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    nodes = tree.body if head_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def type_checking_only(module: Path) -> set[str]:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        node.module for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom) and node.module
    }


def room(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_its_rooms_import(module: Path) -> None:
    used = set(imports(module)) - type_checking_only(module)
    for name, rooms in ALLOWED.items():
        if any(found == name or found.startswith(name + ".") for found in used):
            assert room(module) in rooms, f"{module} imports {name}"


def is_pure(module: Path) -> bool:
    return room(module) in PURE or module == Path("preflight/judge.py")


@pytest.mark.parametrize("module", [module for module in MODULES if is_pure(module)], ids=str)
def test_pure_rooms_do_not_look_or_act(module: Path) -> None:
    used = set(imports(module)) - type_checking_only(module)
    for room_that_does in ("portcheck.observe", "portcheck.act", "portcheck.render", "os", "sys"):
        assert not any(name == room_that_does or name.startswith(room_that_does + ".") for name in used) or (
            # Diagnosis.to_dict() is the contract's
            module == Path("model.py") and room_that_does == "portcheck.render"
        ), f"{module} imports {room_that_does}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) not in ("cli", "preflight")], ids=str)
def test_what_is_slow_is_imported_where_it_is_used(module: Path) -> None:
    assert not SLOW & {name.split(".")[0] for name in imports(module, head_only=True)}
