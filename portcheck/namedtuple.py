"""`typing.NamedTuple` without importing `typing` at run time, and made in a quarter of `collections.namedtuple`'s time.

A check that runs before every start of a server must cost next to nothing: importing `typing` takes as long as
two thirds of `python3 -c pass`, dataclasses (which import `inspect`) more, and sixty named tuples 5 ms, most of it for
compiling a constructor for each.  A type checker sees the real `NamedTuple`; at run time the same annotations give a
class that behaves the same.
"""

from __future__ import annotations

TYPE_CHECKING = False  # a type checker takes this name for True, wherever it is defined

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter  # what collections makes its fields of

    class _Fields(tuple):
        """The methods that all named tuples share."""

        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, iterable):
            made = tuple.__new__(cls, iterable)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        __replace__ = _replace

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            fields = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self))
            return f"{type(self).__name__}({fields})"

        def __getnewargs__(self):
            return tuple(self)

    class _FromAnnotations(type):
        """Turns a class body of annotations into a named tuple with its methods."""

        def __new__(mcs, name, bases, body):
            fields = tuple(body.pop("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            body.update({field: _tuplegetter(index, None) for index, field in enumerate(fields)})
            body.update(__slots__=(), __match_args__=fields, _fields=fields, _field_defaults=defaults)
            body["__new__"] = _constructor(name, fields, tuple(defaults.values()))
            return type(name, (_Fields,), body)

    _codes = {}

    def _constructor(name, fields, defaults):
        """`def __new__(_cls, host, port): return new(_cls, (host, port))`: compiled once for each number of fields."""
        if len(fields) not in _codes:
            values = "".join(f"{field}, " for field in fields)
            _codes[len(fields)] = eval(f"lambda {', '.join(('_cls', *fields))}: new(_cls, ({values}))").__code__  # noqa: S307
        code = _codes[len(fields)].replace(co_varnames=("_cls", *fields))
        constructor = type(_constructor)(code, {"new": tuple.__new__}, "__new__", defaults)
        constructor.__qualname__ = f"{name}.__new__"  # as error messages have it
        return constructor

    NamedTuple = type.__new__(_FromAnnotations, "NamedTuple", (), {})
