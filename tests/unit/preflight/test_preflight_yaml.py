"""Broken, hostile and huge YAML: a clear error with file and line, and never a bomb."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")

from portcheck.observe.ourselves import install_hint
from portcheck.preflight import PreflightError
from portcheck.preflight.files import MAX_BYTES
from portcheck.preflight.yaml_nodes import MAX_DEPTH, documents, fields, items, line_of, scalar


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML with libyaml, and without it as on a machine that built it from source."""
    import yaml

    if not hasattr(yaml, "CSafeLoader") and request.param == "CSafeLoader":
        pytest.skip("this PyYAML was built without libyaml")
    if request.param == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def refusal(tmp_path: Path, text: str | bytes) -> PreflightError:
    path = tmp_path / "compose.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PreflightError) as caught:
        for document in documents(path):
            _walk(str(path), document)
    error = caught.value
    assert error.file == str(path)
    assert error.cause.startswith(f"{path}:{error.line}: " if error.line else f"{path}: ")
    assert "\n" not in error.cause
    return error


def _walk(file: str, node: object) -> None:
    """Looks at mappings as the readers do, two levels deep."""
    for field in fields(file, node).values():  # type: ignore[arg-type]
        fields(file, field.node)


BROKEN = {
    "unclosed list": ("a:\n  b: [1\n", 2),
    "tab": ("a:\n\tb: 1\n", 2),
    "two values": ("a: 1\nb: c: d\n", 2),
    "undefined alias": ("a: 1\nb: *nobody\n", 2),
    "control character": ("a: 1\nb: \x07\n", 2),
    "bad escape": ('a: 1\nb: "\\q"\n', 2),
    "bad indentation": ("a:\n    b: 1\n  c: 2\n", 3),
    "unknown directive": ("%YAML 9.9\n---\na: 1\n", 1),
}


@pytest.mark.parametrize("text, line", BROKEN.values(), ids=BROKEN)
def test_broken_yaml_is_refused_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    assert refusal(tmp_path, text).line == line


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"a: 1\nb: \xff\n")
    assert error.cause.endswith(":2: byte 0xff is not UTF-8")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_bytes(b"\xef\xbb\xbfservices: {}\n")
    [document] = documents(path)
    assert list(fields("", document)) == ["services"]


def test_an_alias_bomb_is_seen_before_it_is_built(tmp_path: Path) -> None:
    lines = ['a0: &a0 ["x", "x", "x", "x", "x", "x", "x", "x", "x"]']
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    error = refusal(tmp_path, "\n".join(lines))
    assert "aliases expand it to more than" in error.cause
    assert error.line


def test_a_bomb_of_merge_keys(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    assert "aliases expand it to more than" in refusal(tmp_path, "\n".join(lines)).cause


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n"])
def test_a_node_that_holds_itself(text: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, "x: 1\n" + text)
    assert error.line == 2
    assert "the alias *a stands for nothing, or for itself" in error.cause


def test_nesting_is_bounded_however_it_is_made(tmp_path: Path) -> None:
    cause = f"nested more than {MAX_DEPTH} deep"
    assert cause in refusal(tmp_path, "[" * 100_000).cause
    assert cause in refusal(tmp_path, "{a: " * 1_000 + "}" * 1_000).cause
    assert cause in refusal(tmp_path, "- " * 100_000).cause
    by_aliases = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1)]
    assert cause in refusal(tmp_path, "\n".join(by_aliases)).cause


def test_a_bound_of_the_parser_is_told_in_our_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml 0.2.6 refuses 1,000 levels itself; others have no bound."""
    import yaml

    def refuse(*_: object) -> None:
        mark = yaml.Mark("x", 0, 0, 0, None, 0)
        raise yaml.scanner.ScannerError("while increasing flow level", None, "exceeded maximum nesting depth", mark)

    monkeypatch.setattr(yaml, "parse", refuse)
    error = refusal(tmp_path, "[[]]\n")
    assert (error.line, error.cause) == (1, f"{error.file}:1: nested more than {MAX_DEPTH} deep")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(PreflightError, match=f"larger than {MAX_BYTES:,} bytes"):
        documents(path)


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    line = f"- '{'x' * 100}'\n"
    path.write_text(line * (MAX_BYTES // len(line)))
    [document] = documents(path)
    assert line_of(items("", document)[-1]) == MAX_BYTES // len(line)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    for name, cause in (
        ("fifo", "not a regular file"),
        ("", "not a regular file"),
        ("nowhere", "no such file"),
    ):
        with pytest.raises(PreflightError) as caught:
            documents(tmp_path / name)
        assert caught.value.cause.endswith(cause)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch touched']",
        "a: !!python/object/new:os.system ['touch touched']",
        "!!python/name:os.system ''",
    ],
)
def test_a_tag_constructs_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    assert len(documents(path)) == 1
    assert not (tmp_path / "touched").exists()


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "compose.yaml"
    path.write_text("services: {}\n")
    with pytest.raises(PreflightError) as caught:
        documents(path)
    assert caught.value.cause == f"{path}: reading it needs PyYAML"
    assert caught.value.remedy == install_hint("PyYAML", "preflight")


def test_nodes_keep_their_lines_and_their_text(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 22:22\n  z: ~\n")
    [document] = documents(path)
    top = fields("", document)
    merged = fields("", top["b"].node)
    assert {key: (field.line, scalar("", field.node)) for key, field in merged.items()} == {
        "x": (1, "1"),
        "y": (4, "22:22"),
        "z": (5, "~"),
    }
    assert items("", merged["z"].node) == []
    assert fields("", merged["z"].node) == {}


def test_the_wrong_kind_of_value_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("a: 1\nb: []\n? [c]\n: 1\n")
    [document] = documents(path)
    with pytest.raises(PreflightError, match="f:3: a single value is expected here"):
        fields("f", document)
    path.write_text("a: 1\nb: []\na: 2\n")
    [document] = documents(path)
    with pytest.raises(PreflightError, match="f:3: the key 'a' stands here twice"):
        fields("f", document)
    path.write_text("a: 1\nb: []\n")
    [document] = documents(path)
    top = fields("f", document)
    with pytest.raises(PreflightError, match=r"f:2: a mapping \(key: value\) is expected here"):
        fields("f", top["b"].node)
    with pytest.raises(PreflightError, match="f:1: a list is expected here"):
        items("f", top["a"].node)
    with pytest.raises(PreflightError, match="f:2: a single value is expected here"):
        scalar("f", top["b"].node)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text() | st.text("ab:[]{}-&*<!|>'\"#%@\n \t,?~0", max_size=60))
def test_any_text_is_read_or_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        for document in documents(path):
            _walk(str(path), document)
    except PreflightError as error:
        assert error.line is None or 1 <= error.line <= text.count("\n") + text.count("\r") + 2
