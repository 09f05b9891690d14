"""The pictures in docs/pictures/ are what a terminal shows today."""

from __future__ import annotations

from xml.etree import ElementTree

import pictures
from support.rigs.sandbox import skip_if_unavailable


def test_the_pictures_are_current() -> None:
    with skip_if_unavailable("sandbox"):
        drawn = dict(pictures.pictures())
    assert pictures.not_current(drawn) == [], "run scripts/pictures"
    one, *_ = drawn
    assert pictures.not_current({**drawn, one: "another"}) == [one]
    assert pictures.not_current({path: text for path, text in drawn.items() if path != one}) == [one]


def test_a_picture_shows_well_on_a_code_host() -> None:
    """It is one file that fetches nothing, with a name for whoever cannot see it."""
    for path in pictures.PICTURES.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert text.count("://") == 1  # the name of SVG itself
        assert "@font-face" not in text
        assert "@import" not in text
        title = ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert (title.text or "").startswith("portcheck ")
