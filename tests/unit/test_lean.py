"""What stands in for slow modules of the standard library is the same in all that is used of it."""

from __future__ import annotations

import functools
import os
import socket

import pytest

from portcheck import lean_functools, lean_socket


def test_cache_asks_once_for_each_argument() -> None:
    asked: list[int] = []

    @lean_functools.cache
    def double(number: int) -> int:
        """Twice as much."""
        asked.append(number)
        return 2 * number

    assert [double(1), double(1), double(2)] == [2, 2, 4]
    assert asked == [1, 2]
    assert (double.__wrapped__(1), double.__doc__) == (2, "Twice as much.")
    double.cache_clear()
    assert double(1) == 2
    assert asked == [1, 2, 1, 1]


def test_lru_cache_keeps_the_last_ones() -> None:
    asked: list[int] = []

    @lean_functools.lru_cache(maxsize=1)
    def seen(number: int) -> None:
        asked.append(number)

    for number in (1, 1, 2, 1):
        seen(number)
    assert asked == [1, 2, 1]


def test_partial_is_the_standard_librarys() -> None:
    assert lean_functools.partial is functools.partial


def test_a_with_block_closes_the_socket() -> None:
    with lean_socket.socket(lean_socket.AF_INET, lean_socket.SOCK_DGRAM) as made:
        number = made.fileno()
        assert not os.get_inheritable(number)
    assert made.fileno() == -1
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_constants_and_errors_are_the_standard_librarys() -> None:
    for name in ("AF_INET", "AF_INET6", "SOCK_STREAM", "SOCK_DGRAM", "SOL_SOCKET", "SO_REUSEADDR", "IPV6_V6ONLY"):
        assert getattr(lean_socket, name) == getattr(socket, name)
    assert lean_socket.gaierror is socket.gaierror
