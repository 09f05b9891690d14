"""`typing.NamedTuple` without importing `typing` at run time.

A check that runs before every start of a server must cost next to nothing: importing `typing` takes as long as
two thirds of `python3 -c pass`, dataclasses (which import `inspect`) more.  A type checker sees the real
`NamedTuple`; at run time `collections.namedtuple` makes the same class from the same annotations.
"""

from __future__ import annotations

TYPE_CHECKING = False  # a type checker takes this name for True, wherever it is defined

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _FromAnnotations(type):
        """Turns a class body of annotations (text, by the __future__ import) into a namedtuple with its methods."""

        def __new__(mcs, name, bases, body):
            fields = body.pop("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            for attribute, value in body.items():
                setattr(made, attribute, value)
            return made

    NamedTuple = type.__new__(_FromAnnotations, "NamedTuple", (), {})
