"""GitHub's annotations and JUnit's XML as their readers take them."""

from __future__ import annotations

import re
from typing import NamedTuple

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from support.examples import HOSTILE

# names that would be read as something else where they are not escaped
NASTY = (HOSTILE, "::error file=x,line=1::gotcha\r\n%0A##[add-mask]x", "a,b:c%3A<&>\"']]>", "\x00\x0b\ufffe\ud800é漢")


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    data: str


def commands(lines: list[str]) -> list[Command]:
    """What a runner would obey in a log; `##[...]` is its older form, obeyed anywhere in a line."""
    found = []
    for line in "\n".join(lines).split("\n"):
        if matched := re.match(r"\s*::([\w-]+)(?: ([^\r\n]*?))?::(.*)$", line):
            pairs = (pair.split("=", 1) for pair in (matched[2] or "").split(",") if pair)
            properties = {key: unescaped(value, {"%3A": ":", "%2C": ","}) for key, value in pairs}
            found.append(Command(matched[1], properties, unescaped(matched[3], {})))
        else:
            assert "##[" not in line
    return found


def unescaped(value: str, more: dict[str, str]) -> str:
    for escape, character in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
        value = value.replace(escape, character)
    return value


def read_back(lines: list[str]) -> list[TestCase]:
    found = JUnitXml.fromstring("\n".join(lines).encode())
    cases = [case for suite in found for case in suite]
    results = [type(result) for case in cases for result in case.result]
    counted = (found.tests, found.failures, found.errors, found.skipped)
    assert counted == (len(cases), *map(results.count, (Failure, Error, Skipped)))
    for suite in found:
        assert suite.tests == len(list(suite))
    return cases
