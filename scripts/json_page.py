"""docs/json-reference.md from portcheck/schema.json: every document and part, its keys, their types and meanings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parents[1] / "portcheck" / "schema.json"
BY = "written by scripts/reference from portcheck/schema.json"


def page() -> str:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return "\n".join((f"<!-- {BY} -->", *_page(schema)))


def _page(schema: dict[str, Any]) -> Iterator[str]:
    parts = schema["$defs"]
    documents = [_name(each) for each in schema["anyOf"]]
    yield from ("# JSON, key by key", "")
    yield from (
        "What `--json` prints, by name.  How to use it in a script: [scripts and JSON](json.md).  The same for a",
        "validator is [schema.json](json.md#validate-it), which the package brings along.  *Keys may be added; none is",
        "ever renamed or dropped.*  A value that is not known is `null`, never a guess.",
        "",
        "The documents: " + ", ".join(f"[{name}](#{name})" for name in documents) + ".",
        "",
    )
    objects = [name for name in parts if "properties" in parts[name] and name not in documents]
    for name in (*documents, *objects):
        yield from _table(name, parts)


def _table(name: str, parts: dict[str, Any]) -> Iterator[str]:
    part = parts[name]
    text = part["description"]
    meaning = f"`{text}`" if text.startswith("portcheck ") else f"{text[0].upper()}{text[1:]}."
    yield from (f"## {name}", "", meaning, "", "| key | value | meaning |", "|---|---|---|")
    for key, value in part["properties"].items():
        yield f"| `{key}` | {_type(value, parts)} | {_cell(meaning_of(value, parts))} |"
    yield ""


def meaning_of(value: dict[str, Any], parts: dict[str, Any]) -> str:
    """Its own description, or that of what it is, or holds."""
    if text := value.get("description"):
        return str(text)
    if name := _name(value) or _name(value.get("items", {})):
        return str(parts[name]["description"])
    return next((text for each in value.get("anyOf", ()) if (text := meaning_of(each, parts))), "")


def _type(value: dict[str, Any], parts: dict[str, Any]) -> str:
    if name := _name(value):
        # a single value is told here, a part of several keys has its own table
        return f"[{name}](#{name})" if "properties" in parts[name] else _type(parts[name], parts)
    if "const" in value:
        return _word(value["const"])
    if "enum" in value:
        return ", ".join(map(_word, value["enum"]))
    if "anyOf" in value:
        return " or ".join(_type(each, parts) for each in value["anyOf"])
    if "allOf" in value:
        return " with ".join(_type(each, parts) for each in value["allOf"] if _name(each))
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return " or ".join(f"array of {_type(value['items'], parts)}" if kind == "array" else kind for kind in kinds)


def _name(value: dict[str, Any]) -> str:
    return str(value.get("$ref", "")).rpartition("/")[2]


def _word(word: object) -> str:
    return f"`{json.dumps(word)}`" if isinstance(word, str) else json.dumps(word)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("*", "\\*")
