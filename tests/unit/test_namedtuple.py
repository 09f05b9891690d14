"""portcheck.namedtuple.NamedTuple behaves as the standard library's does."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from portcheck.namedtuple import NamedTuple


class Ours(NamedTuple):
    """An address."""

    host: str
    port: int = 80
    scope: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        return self.host == "localhost"


class Theirs(typing.NamedTuple):
    """An address."""

    host: str
    port: int = 80
    scope: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        return self.host == "localhost"


class Empty(NamedTuple):
    """Nothing."""


BOTH: tuple[Any, Any] = (Ours, Theirs)


def test_it_was_made_here_and_not_by_the_standard_library() -> None:
    assert Ours.__mro__[1].__module__ == "portcheck.namedtuple"


@pytest.mark.parametrize(
    "question",
    [
        lambda kind: tuple(kind("a")),
        lambda kind: tuple(kind("a", scope="b")),
        lambda kind: tuple(kind(port=1, host="a")),
        lambda kind: str(kind("a")),
        lambda kind: repr(kind("a")).replace("Theirs", "Ours"),
        lambda kind: kind("localhost").is_local,
        lambda kind: kind("a").port,
        lambda kind: kind("a") == kind("a", 80) == ("a", 80, None),
        lambda kind: kind("a") < kind("b"),
        lambda kind: hash(kind("a")),
        lambda kind: {**kind("a")._asdict()},
        lambda kind: tuple(kind("a")._replace(port=1)),
        lambda kind: tuple(kind._make(["a", 1, None])),
        lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__slots__),
        lambda kind: (kind.__doc__, kind.__module__, kind.__name__.replace("Theirs", "Ours")),
        lambda kind: type(pickle.loads(pickle.dumps(kind("a")))) is kind,
        lambda kind: pickle.loads(pickle.dumps(kind("a"))) == kind("a"),
        lambda kind: (copy.copy(kind("a")) == kind("a"), type(copy.deepcopy(kind("a"))) is kind),
        lambda kind: [name for name in vars(kind("a")) if name] if hasattr(kind("a"), "__dict__") else None,
    ],
)  # fmt: skip
def test_as_the_standard_library(question: Any) -> None:
    ours, theirs = map(question, BOTH)
    assert ours == theirs


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda kind: kind(), TypeError),
        (lambda kind: kind("a", 1, None, 2), TypeError),
        (lambda kind: kind("a", colour=1), TypeError),
        (lambda kind: kind._make(["a"]), TypeError),
        (lambda kind: kind("a")._replace(colour=1), (TypeError, ValueError)),
        (lambda kind: setattr(kind("a"), "port", 1), AttributeError),
    ],
)
def test_mistakes_as_in_the_standard_library(mistake: Any, error: type[Exception]) -> None:
    for kind in BOTH:
        with pytest.raises(error):
            mistake(kind)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(TypeError, match="host"):
        BOTH[0](port=1)


def test_classes_with_as_many_fields_keep_their_own_names() -> None:
    class Other(NamedTuple):
        x: int
        y: int
        z: int = 3

    assert Other(y=2, x=1)._asdict() == {"x": 1, "y": 2, "z": 3}
    assert Ours(host="a")._asdict() == {"host": "a", "port": 80, "scope": None}


def test_none_is_as_good_as_a_field() -> None:
    assert (tuple(Empty()), repr(Empty()), Empty._fields) == ((), "Empty()", ())
