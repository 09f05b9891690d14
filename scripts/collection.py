"""Builds the Ansible collection: what is in ansible/, and in it the one file and what else comes from the package.

    python scripts/collection.py stage DIR    the collection's tree as DIR/ansible_collections/NAMESPACE/NAME
    python scripts/collection.py build DIR    the archive for `ansible-galaxy collection install` in DIR

The name of the collection stands in ansible/galaxy.yml alone.  In the other files it is written as whyport.portcheck,
and becomes what is written there.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import artefacts

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "ansible"
PACKAGE = ROOT / "portcheck"
WRITTEN_AS = ("whyport", "portcheck")
ANSIBLE = ("2.18", "2.19", "2.20", "2.21")
EMPTY = 'ONE_FILE = """\n"""'


def name(tree: Path = SOURCE) -> tuple[str, str]:
    """Namespace and name."""
    text = (tree / "galaxy.yml").read_text(encoding="utf-8")
    namespace, collection = (re.search(rf"(?m)^{key}: (\w+)", text) for key in ("namespace", "name"))
    assert namespace and collection, "ansible/galaxy.yml names the collection"
    return namespace[1], collection[1]


def stage(directory: Path, source: Path = SOURCE) -> Path:
    """The tree of the collection below a directory, where Ansible looks for it."""
    namespace, collection = name(source)
    tree = directory / "ansible_collections" / namespace / collection
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tree)
    ask = tree / "plugins" / "modules" / "ask.py"
    empty = ask.read_text(encoding="utf-8")
    ask.write_text(embedded(made(artefacts.one_file), empty), encoding="utf-8")
    # The declarations' commands read YAML, TOML and .env, which a bare Python cannot: they take the larger file.
    full = empty.replace("module: ask\n", "module: ask_full\n")
    ask.with_name("ask_full.py").write_text(embedded(made(artefacts.full), full), encoding="utf-8")
    escape = tree / "plugins" / "plugin_utils" / "escape.py"
    escape.write_text(on_its_own(PACKAGE / "render" / "escape.py"), encoding="utf-8")
    excused = tree / "tests" / "sanity" / "ignore.txt"
    for version in ANSIBLE:  # ansible-test wants a file for each of its versions
        shutil.copy(excused, excused.with_name(f"ignore-{version}.txt"))
    excused.unlink()
    if (namespace, collection) != WRITTEN_AS:
        for path in tree.rglob("*"):
            if path.is_file() and path.name != "galaxy.yml":
                text = path.read_text(encoding="utf-8")
                path.write_text(text.replace(".".join(WRITTEN_AS), f"{namespace}.{collection}"), encoding="utf-8")
    return tree


def made(artefact: Callable[[Path], Path]) -> bytes:
    """What scripts/build makes."""
    with tempfile.TemporaryDirectory() as work:
        return artefact(Path(work)).read_bytes()


def embedded(data: bytes, module: str) -> str:
    """A module with the one file in it, as text: Ansible sends it so."""
    lines = textwrap.wrap(base64.b64encode(data).decode("ascii"), 120)
    before, empty, after = module.partition(EMPTY)
    assert empty and EMPTY not in after
    return before + EMPTY.replace("\n", "\n" + "\n".join(lines) + "\n") + after


def on_its_own(module: Path) -> str:
    """A module of the package that needs nothing of it but types."""
    text = module.read_text(encoding="utf-8")
    alone = text.replace("from portcheck.namedtuple import TYPE_CHECKING", "TYPE_CHECKING = False")
    assert "import portcheck" not in alone and "from portcheck" not in alone, module
    return alone


def build(directory: Path) -> Path:
    """The archive, in a directory that is made where it is missing."""
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    with tempfile.TemporaryDirectory() as work:
        tree = stage(Path(work))
        subprocess.run(
            [galaxy, "collection", "build", "--force", "--output-path", directory, tree],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return max(directory.glob("-".join(name()) + "-*.tar.gz"), key=lambda file: file.stat().st_mtime)


if __name__ == "__main__":
    command, target = sys.argv[1], Path(sys.argv[2])
    print({"stage": stage, "build": build}[command](target))
