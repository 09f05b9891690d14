from __future__ import annotations

import sys
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portcheck.render.escape import INVISIBLE, MOST_MARKS, visible
from portcheck.text import utf8

ANYTHING = st.text(st.characters())  # surrogates too


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", ""),
        ("httpd -k start", "httpd -k start"),
        (r"C:\Program Files\S\Service.exe", r"C:\Program Files\S\Service.exe"),
        ("zażółć 日本語 שלום 🚀", "zażółć 日本語 שלום 🚀"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\r\tand\0", r"two\nlines\r\tand\x00"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),  # the C1 control that is a CSI by itself, and DEL
        ("live\u202eedon", r"live\u202eedon"),
        ("no\u200bde \u2066x\u2069 \u061c", r"no\u200bde \u2066x\u2069 \u061c"),
        ("no\u00a0de\u3000", r"no\xa0de\u3000"),  # spaces that are not the space
        ("no\u2028de\u2029\x85", r"no\u2028de\u2029\x85"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("node\ufe0f\u034f\u3164", r"node\ufe0f\u034f\u3164"),  # isprintable() has nothing against these
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
        ("\ud83d alone \udc00", r"\ud83d alone \udc00"),
        ("cafe\u0301", "cafe\u0301"),  # a mark on its letter
        ("\u0301cafe", r"\u0301cafe"),  # a mark on our own text
        ("Z" + "\u0335" * 20, "Z" + "\u0335" * MOST_MARKS + r"\u0335" * (20 - MOST_MARKS)),
    ],
)
def test_on_the_screen(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(ANYTHING)
@example("\udcff\ud800")
def test_nothing_that_acts_or_hides_survives(raw: str) -> None:
    shown = visible(raw)
    assert not {category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert INVISIBLE.isdisjoint(shown)
    assert shown.isprintable()
    shown.encode()


@given(ANYTHING)
def test_what_is_visible_stays_as_it_is(raw: str) -> None:
    shown = visible(raw)
    assert visible(shown) == shown


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters="".join(INVISIBLE))))
def test_printable_text_is_unchanged(text: str) -> None:
    plain = text if text.isprintable() else " ".join(text.split())
    assert visible(plain) == plain


def test_every_format_character_of_this_unicode_is_refused() -> None:
    formats = [chr(code) for code in range(sys.maxunicode + 1) if category(chr(code)) in ("Cc", "Cf", "Zl", "Zp")]
    assert len(formats) > 200
    assert not [character for character in formats if character in visible(f"a{character}b")]


@pytest.mark.parametrize(
    ("raw", "encodable"),
    [
        ("plain", "plain"),
        ("日本\u202e\x1b", "日本\u202e\x1b"),  # json escapes these
        (b"\xff\xfe!".decode("utf-8", "surrogateescape"), "\ufffd\ufffd!"),
        ("\ud83d", "\ufffd"),
    ],
)
def test_in_json(raw: str, encodable: str) -> None:
    assert utf8(raw) == encodable


@given(ANYTHING)
@example("\ud83d\ude00")
def test_json_text_can_always_be_encoded(raw: str) -> None:
    assert len(utf8(raw).encode().decode()) == len(raw)


@given(st.text())
def test_json_text_that_can_be_encoded_is_unchanged(text: str) -> None:
    assert utf8(text) == text
