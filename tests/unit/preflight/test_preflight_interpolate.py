"""The variables of the Compose specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.preflight.interpolate import MAX_DEPTH, MAX_LENGTH, BadTemplateError, Filled, TooLongError, interpolate

VARIABLES = {"SET": "7", "EMPTY": "", "OTHER": "8", "_x1": "9"}

FILLED = {
    "plain": "plain",
    "$SET": "7",
    "${SET}": "7",
    "a$SET-b": "a7-b",
    "$_x1.": "9.",
    "$$SET": "$SET",
    "$$$SET": "$7",
    "a $ b $1 $": "a $ b $1 $",
    "${SET:-1}": "7",
    "${EMPTY:-1}": "1",
    "${EMPTY-1}": "",
    "${UNSET:-1}": "1",
    "${UNSET-1}": "1",
    "${UNSET:-}": "",
    "${SET:+1}": "1",
    "${EMPTY:+1}": "",
    "${EMPTY+1}": "1",
    "${UNSET+1}": "",
    "${SET:?no}": "7",
    "${EMPTY?no}": "",
    "${UNSET:-${OTHER}}": "8",
    "${UNSET:-${EMPTY:-${OTHER:-1}}}:80": "8:80",
    "${UNSET:-a$$b}": "a$b",
    "${UNSET:-:-}": ":-",
    "${SET:-${UNSET:?not looked at}}": "7",
    "${SET}${OTHER}": "78",
}


@pytest.mark.parametrize("text", FILLED)
def test_is_filled_in(text: str) -> None:
    assert interpolate(text, VARIABLES)[:2] == Filled(FILLED[text])[:2]


UNFILLED = {
    "${UNSET}:80": Filled(":80", ("UNSET is not set and has no default",)),
    "$UNSET:80": Filled(":80", ("UNSET is not set and has no default",)),
    "${UNSET:?}": Filled("", ("UNSET is required",)),
    "${EMPTY:?say $SET}": Filled("", ("EMPTY is required: say $SET",)),
    "${UNSET?say}x": Filled("x", ("UNSET is required: say",)),
    "${A:-${B}}$C": Filled("", ("B is not set and has no default", "C is not set and has no default")),
}


@pytest.mark.parametrize("text", UNFILLED)
def test_what_has_no_value_is_said(text: str) -> None:
    assert interpolate(text, VARIABLES) == UNFILLED[text]


@pytest.mark.parametrize(
    ("text", "names"),
    [("$SET", ("SET",)), ("$EMPTY$UNSET", ()), ("${UNSET:-${OTHER}}$SET$SET", ("OTHER", "SET")), ("${SET:+x}", ())],
)
def test_it_is_known_whose_values_a_text_holds(text: str, names: tuple[str, ...]) -> None:
    assert interpolate(text, VARIABLES).names == names


def test_what_grows_out_of_bounds_is_not_built() -> None:
    assert len(interpolate("$A" * 64, {"A": "a" * 1024}).text) == MAX_LENGTH
    with pytest.raises(TooLongError, match="longer than 65,536 characters"):
        interpolate("$A" * 65, {"A": "a" * 1024})


@pytest.mark.parametrize(
    "text", ["${", "${}", "${1}", "${SET", "${SET!}", "${SET:}", "${UNSET:-${}}", "${SET:-${OTHER}"]
)
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(BadTemplateError):
        interpolate(text, VARIABLES)


def test_nesting_is_bounded() -> None:
    def nested(depth: int) -> str:
        return "${U:-" * depth + "1" + "}" * depth

    assert interpolate(nested(MAX_DEPTH), {}).text == "1"
    for depth in (MAX_DEPTH + 1, 50_000):
        with pytest.raises(BadTemplateError, match="deep"):
            interpolate(nested(depth), {})


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_variables_stays(text: str) -> None:
    assert interpolate(text, VARIABLES) == Filled(text)


@given(st.text())
def test_doubled_dollars_give_the_text_back(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == Filled(text)


@given(st.text("${}:-?+ASET1", max_size=40))
def test_any_text_is_filled_or_refused(text: str) -> None:
    try:
        filled = interpolate(text, {"A": "1"})
    except BadTemplateError:
        return
    assert filled.problems or isinstance(filled.text, str)
