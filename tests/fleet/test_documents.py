"""What is published holds: the modules' documentation and examples, the collection's form, the manifests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import BIN, PATIENCE, ROOT, Play, output

MODULES = ("check", "list", "preflight", "verify", "wait", "stop")  # in the order of a deployment: stop ends the server
INTERNAL = ("ask", "ask_full")
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


@pytest.fixture(scope="module")
def documentation(environment: dict[str, str]) -> dict[str, Any]:
    """What ansible-doc tells of each module."""
    names = [f"whyport.portcheck.{name}" for name in (*MODULES, *INTERNAL)]
    told = output([str(BIN / "ansible-doc"), "--json", *names], env=environment)
    documents: dict[str, Any] = json.loads(told)
    return {name.rpartition(".")[2]: document for name, document in documents.items()}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_documented_is_what_is_taken(name: str, documentation: dict[str, Any]) -> None:
    """The options, their types, choices and defaults: the documentation and the action plugin name each of them."""
    documented = documentation[name]["doc"]["options"]
    program = (
        f"import json; from ansible_collections.whyport.portcheck.plugins.action.{name} import ActionModule as a; "
        "print(json.dumps(dict(a.SPEC)))"
    )
    loader = "from ansible.plugins.loader import init_plugin_loader; init_plugin_loader(); "
    taken = json.loads(
        output([sys.executable, "-c", loader + program], env=dict(documentation_environment(documentation)))
    )
    keys = ("type", "choices", "default", "required", "elements")
    normal = {"required": False}
    for both in (documented, taken):
        for option in both.values():
            option.setdefault("type", "str")
    assert {option: [of.get(key, normal.get(key)) for key in keys] for option, of in documented.items()} == {
        option: [of.get(key, normal.get(key)) for key in keys] for option, of in taken.items()
    }


def documentation_environment(documentation: dict[str, Any]) -> dict[str, str]:
    place = str(Path(documentation["check"]["doc"]["filename"]).parents[5])
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "ANSIBLE_COLLECTIONS_PATH": place,
        "ANSIBLE_HOME": "/tmp",
    }


def test_every_example_runs(documentation: dict[str, Any], play: Play) -> None:
    """On a host that is as they suppose; what fails does so by its answer, not by what was asked."""
    tasks = [
        {**each, "name": f"{name} {number}", "ignore_errors": True}
        for name in MODULES
        for number, each in enumerate(yaml.safe_load(documentation[name]["examples"]))
    ]
    played = play(tasks, "spare")
    failed = {task: result for (_, task), (outcome, result) in played.results.items() if outcome != "ok"}
    assert all({"results", "declared", "targets"} & result.keys() for result in failed.values()), failed
    assert played("spare", "stop 0")["changed"]
    assert len(played.results) == len(tasks)


def test_the_report_of_the_filters_examples(
    play: Play, documentation: dict[str, Any], environment: dict[str, str]
) -> None:
    asked = {"name": "asked", "whyport.portcheck.check": {"targets": ["80"], "fail": False}, "register": "ports"}
    names = [f"whyport.portcheck.report_{name}" for name in ("html", "markdown")]
    documents = json.loads(output([str(BIN / "ansible-doc"), "--type", "filter", "--json", *names], env=environment))
    examples = [each for document in documents.values() for each in yaml.safe_load(document["examples"])]
    for number, example in enumerate(examples):
        example["name"] = f"written {number}"
    played = play([asked, *examples], "web-1,web-2")
    assert [outcome for (_, task), (outcome, _) in played.results.items() if "written" in task] == ["ok", "ok"]


def tree(collections: Path) -> Path:
    return collections / "ansible_collections" / "whyport" / "portcheck"


def test_ansible_lint(collections: Path, environment: dict[str, str]) -> None:
    lint = [str(BIN / "ansible-lint"), "--nocolor", "-q", "."]
    assert output(lint, env=environment, cwd=tree(collections)) == ""


def test_sanity(collections: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Those of ansible-test's checks that look at documentation and form; all of them run by hand (docs/fleet.md)."""
    home = Path(environment["HOME"])
    # ansible-test would download what every Python brings along.
    for version in ("24_2", "26_0", "26_1"):
        bootstrap = home / ".ansible" / "test" / "cache" / f"get_pip_{version}.py"
        bootstrap.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    checks = ("action-plugin-docs", "ansible-doc", "ignores", "runtime-metadata", "shebang", "validate-modules")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = [str(BIN / "ansible-test"), "sanity", "--color", "no", "--python", python]
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "SSL_CERT_FILE"}
    path = f"{environment['PATH']}:{Path(sys.base_prefix) / 'bin'}"
    done = subprocess.run(
        [*command, *(f"--test={check}" for check in checks)],
        cwd=tree(collections), env={**environment, **pip, "PATH": path},
        capture_output=True, text=True, check=False, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, re.sub(
        r"(?m)^(WARNING|Looking|Collecting|  Down|Requirement).*\n", "", done.stdout + done.stderr
    )


def test_the_collections_name_stands_in_one_place(tmp_path: Path) -> None:
    """Another name in galaxy.yml is another collection, whose files name no other."""
    import shutil

    sys.path.insert(0, str(ROOT / "scripts"))
    import collection

    source = tmp_path / "source"
    shutil.copytree(ROOT / "ansible", source)
    galaxy = source / "galaxy.yml"
    text = galaxy.read_text(encoding="utf-8")
    galaxy.write_text(text.replace("namespace: whyport", "namespace: acme").replace("name: portcheck", "name: ports"))
    made = collection.stage(tmp_path, source)
    assert made == tmp_path / "ansible_collections" / "acme" / "ports"
    assert not [
        path for path in made.rglob("*.*") if b"whyport.portcheck" in path.read_bytes() and path.name != "galaxy.yml"
    ]
    told = output(
        [str(BIN / "ansible-doc"), "--json", "acme.ports.check"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)},
    )
    assert json.loads(told)["acme.ports.check"]["doc"]["seealso"][0]["module"] == "acme.ports.preflight"


def test_it_is_of_the_packages_version() -> None:
    galaxy = yaml.safe_load((ROOT / "ansible" / "galaxy.yml").read_text(encoding="utf-8"))
    version = re.search(r'__version__ = "(.*)"', (ROOT / "portcheck" / "__init__.py").read_text(encoding="utf-8"))
    assert version
    assert galaxy["version"] == version[1]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_takes_the_manifests(manifest: Path) -> None:
    output([str(BIN / "kubernetes-validate"), "--strict", "--no-warn", str(manifest)])


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_what_the_manifests_run(manifest: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    import artefacts

    file = artefacts.one_file(tmp_path)
    pod = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["template"]["spec"]
    container = [*pod.get("initContainers", []), *pod["containers"]][0]
    words = " ".join([*container["command"], *container["args"]])
    (line,) = re.findall(r"python3.*portcheck\.pyz.*?(?=\n|$)|python3.*", words)[:1]
    assert file.stat().st_size < 3 * (1 << 20) / 4  # what a ConfigMap holds, in base64
    done = subprocess.run(
        ["unshare", "--net", *line.replace("/portcheck/portcheck.pyz", str(file)).split()],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert "8080" in done.stdout or json.loads(done.stdout)["results"][0]["port"] == 80
