"""The vocabularies hold the words that portcheck says: the type checker refuses any other, this test a dead one."""

from __future__ import annotations

import ast

import pytest
import structure
from support.generated import vocabulary

SAID = {
    node.value
    for name, path in structure.modules().items()
    if name != "vocabulary"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
}
NAMES = ("Cause", "Condition", "Engine", "Role", "ServiceManager", "State", "Supervisor", "NoteCode", "BlindSpotCode")


@pytest.mark.parametrize("name", NAMES)
def test_every_word_is_said_somewhere(name: str) -> None:
    words = vocabulary(name)
    assert len(words) == len(set(words)) > 1
    assert not set(words) - SAID
