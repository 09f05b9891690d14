"""Which files are the project's, and how they are opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portcheck.preflight import PreflightError, read
from portcheck.preflight.declarations import LeftUnreadError
from portcheck.preflight.files import MAX_BYTES, Grounds, around, grounds_of, joined


@pytest.fixture(params=["by descriptor", "by name"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux does it, and as it is done elsewhere."""
    if request.param == "by name":
        monkeypatch.delattr(os, "O_PATH", raising=False)
    elif not hasattr(os, "O_PATH"):
        pytest.skip("this system has no O_PATH")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / ".git").mkdir(parents=True)
    (folder / "sub").mkdir()
    for file in ("shop/in", "shop/sub/in", "shop/.git/config", "out", "shop-2"):
        (tmp_path / file).write_text(file)
    return folder


@pytest.mark.parametrize("name", ["in", "sub/in", "sub/../in", "link", "../shop/in"])
def test_what_lies_in_the_project_is_read(name: str, shop: Path) -> None:
    (shop / "link").symlink_to("sub/in")
    assert around(shop).has(shop / name)
    assert around(shop).text(shop / name).startswith("shop/")


@pytest.mark.parametrize("name", ["../out", "link", "way/out", ".git/config", "../shop-2", "/etc/passwd", "../missing"])
def test_what_lies_elsewhere_is_read_only_where_that_is_allowed(name: str, shop: Path) -> None:
    (shop / "link").symlink_to("../out")
    (shop / "way").symlink_to("..")
    grounds = around(shop)
    with pytest.raises(LeftUnreadError, match="leads outside of the project: not read without --allow-outside") as left:
        grounds.text(shop / name)
    assert (left.value.code, left.value.remark.line) == ("outside", 1)
    assert grounds.has(shop / name) == ("missing" not in name)  # what is there is not nothing
    if "missing" not in name:
        assert grounds._replace(everywhere=True).text(shop / name)


def test_a_link_that_is_changed_after_the_first_look_leads_nowhere(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look is for its own sake: what counts is where the opened file lies."""
    (shop / "link").symlink_to("../out")
    looks = iter([False])
    really = Grounds.leave
    monkeypatch.setattr(Grounds, "leave", lambda self, path: next(looks, None) is None and really(self, path))
    with pytest.raises(LeftUnreadError, match="leads outside"):
        around(shop).text(shop / "link")


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/proc/kmsg", "/sys/kernel/uevent_seqnum", "/dev/null", "/dev/zero"]
)
def test_what_only_looks_like_a_file_is_never_read(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} here")
    with pytest.raises(PreflightError, match="not a regular file"):
        Grounds((), everywhere=True).text(Path(path))


def test_a_fifo_is_not_waited_for(shop: Path) -> None:
    os.mkfifo(shop / "fifo")
    with pytest.raises(PreflightError, match="not a regular file"):
        around(shop).text(shop / "fifo")


def test_size_and_encoding(shop: Path) -> None:
    (shop / "in").write_bytes(b"\xef\xbb\xbf" + b"a" * (MAX_BYTES - 3))
    assert len(around(shop).text(shop / "in")) == MAX_BYTES - 3
    (shop / "in").write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(LeftUnreadError, match="larger than 262,144 bytes") as left:
        around(shop).text(shop / "in")
    assert left.value.code == "limit"


def test_the_project_is_around_what_was_named(shop: Path, tmp_path: Path) -> None:
    (shop / ".devcontainer").mkdir()
    roots = {str(shop), str(tmp_path)}
    assert set(grounds_of([shop, tmp_path / "out"]).roots) == roots
    assert grounds_of([shop / ".devcontainer" / "devcontainer.json"]).roots == (str(shop),)
    assert grounds_of([shop], [tmp_path / "out"]).text(tmp_path / "out") == "out"


def test_a_link_that_leads_away_from_here_was_not_named(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "api").symlink_to(tmp_path)
    (tmp_path / "here").symlink_to(shop)
    monkeypatch.chdir(shop)
    assert grounds_of(["api"]).roots == grounds_of(["api/out"]).roots == grounds_of([shop / "api"]).roots == ()
    assert grounds_of([".."]).roots == (str(tmp_path),)
    assert grounds_of([tmp_path / "here"]).roots == (str(shop),)
    assert grounds_of(["sub"]).roots == (str(shop / "sub"),)


def test_a_path_is_joined_as_compose_does_it(shop: Path) -> None:
    assert joined(shop, "missing/../in") == shop / "in"
    assert joined(Path(), "./a/b") == Path("a/b")


def test_the_users_own_variables_name_files_anywhere(shop: Path, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
    pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")
    (tmp_path / "ci.yaml").write_text("services: {web: {ports: ['${PORT}:80']}}")
    (tmp_path / "ci.env").write_text("PORT=8000\n")
    environment = {"COMPOSE_FILE": "../ci.yaml", "COMPOSE_ENV_FILES": str(tmp_path / "ci.env")}
    found = read(directory=shop, environment=environment, docker=False)
    assert [each.port for each in found.declarations] == [8000]
    assert found.unresolved == ()
    (shop / "compose.yaml").write_text("services: {web: {ports: ['${PORT}:80']}}")
    found = read([shop / "compose.yaml"], environment={"COMPOSE_ENV_FILES": "../ci.env"}, docker=False)
    assert [each.port for each in found.declarations] == [8000]
    (shop / ".env").write_text("COMPOSE_FILE=../ci.yaml\n")
    found = read(directory=shop, environment={}, docker=False)
    assert [(each.code, Path(each.file).name) for each in found.unresolved] == [("outside", ".env")]
