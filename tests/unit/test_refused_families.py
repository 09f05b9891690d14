"""What a sandbox or a user namespace keeps from portcheck is told as that, and is never said of the host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.scenes import diagnosis, endpoint, kernel_of, listener, scene

from portcheck.addresses import parse_address
from portcheck.diagnosis.blind_spots import hidden_owner
from portcheck.model import AS_ROOT, OUTSIDE, BindRequest, BlindSpot, Diagnosis, Probe, Scene
from portcheck.observe.linux import procfs, user_namespace
from portcheck.remedies.advise import advise
from portcheck.target import Host

SAYS = {
    "ipv4": BlindSpot("family-refused", "a sandbox lets this process make no IPv4 socket", OUTSIDE),
    "ipv6": BlindSpot("family-refused", "a sandbox lets this process make no IPv6 socket", OUTSIDE),
}


def answer(seen: Scene, text: str | None = None) -> Diagnosis:
    """The diagnosis where a socket of the families that are not usable cannot be made."""

    def probe(request: BindRequest) -> Probe:
        usable = request.family in seen.families
        return kernel_of(seen)(request) if usable else Probe("unsupported", "EAFNOSUPPORT")

    address = parse_address(text) if text else None
    asked = endpoint(host=Host(text, "addresses", (address,))) if address else endpoint()
    return advise(diagnosis(seen, asked, probe=probe), seen)


@pytest.mark.parametrize(("refused", "usable", "address"), [("ipv4", "ipv6", "::1"), ("ipv6", "ipv4", "127.0.0.1")])
def test_who_listens_in_a_refused_family_has_the_port(refused: str, usable: str, address: str) -> None:
    elsewhere = listener("127.0.0.1" if refused == "ipv4" else "::1")
    found = answer(scene(elsewhere, families=(usable,), refused_families=(refused,), blind_spots=(SAYS[refused],)))
    assert (found.verdict, found.cause, found.complete) == ("in-use", "listener", False)
    assert {row.outcome for row in found.binds if row.bind.address == address} == {"free"}


def test_a_family_that_the_kernel_lacks_conflicts_with_nobody() -> None:
    found = answer(scene(listener("127.0.0.1"), families=("ipv4",)))
    assert {row.outcome for row in found.binds if row.bind.family == "ipv6"} == {"unsupported"}


@pytest.mark.parametrize(("family", "address"), [("ipv4", "127.0.0.1"), ("ipv6", "::1")])
def test_the_refused_family_is_named_and_whose_doing_it_is(family: str, address: str) -> None:
    other = "ipv6" if family == "ipv4" else "ipv4"
    found = answer(scene(families=(other,), refused_families=(family,), blind_spots=(SAYS[family],)), address)
    assert (found.verdict, found.cause) == ("unavailable", "policy")
    assert found.message.endswith(
        f"a sandbox lets this process make no {'IPv4' if family == 'ipv4' else 'IPv6'} socket."
    )


@pytest.mark.parametrize(
    ("family", "address", "lacks", "advice"),
    [
        ("ipv4", "127.0.0.1", "this host has no IPv4", "bind an IPv6 address"),
        ("ipv6", "::1", "this host has no IPv6", "bind an IPv4 address"),
    ],
)
def test_the_missing_family_is_named_and_the_other_one_advised(
    family: str, address: str, lacks: str, advice: str
) -> None:
    found = answer(scene(families=("ipv6" if family == "ipv4" else "ipv4",)), address)
    assert (found.cause, lacks in found.message, [each.text for each in found.advice]) == ("family", True, [advice])


def test_without_the_kernels_list_nobody_is_said_to_be_in_the_way() -> None:
    refused = BlindSpot("netlink-refused", "refused", OUTSIDE)
    for spots, words in (((refused,), "no socket in the way shows"), ((), "no socket is in the way")):
        found = diagnosis(scene(blind_spots=spots), probe=lambda _: Probe("denied", "EPERM"))
        assert (found.verdict, words in found.message) == ("denied", True)


@pytest.mark.parametrize(
    ("uid", "confined", "remedy"), [(1000, False, AS_ROOT), (1000, True, OUTSIDE), (0, False, OUTSIDE)]
)
def test_sudo_is_advised_where_it_would_help(uid: int, confined: bool, remedy: str) -> None:
    assert hidden_owner("0.0.0.0:80", "root", scene(uid=uid, confined=confined)).remedy == remedy


@pytest.mark.parametrize("sockets", [(), (listener(),)])
def test_what_a_manager_did_not_say_concerns_holders(sockets: tuple[object, ...]) -> None:
    silent = BlindSpot("engine-no-answer", "docker gave no answer")
    found = diagnosis(scene(*sockets, blind_spots=(silent,)))  # type: ignore[arg-type]
    assert found.complete is not bool(sockets)


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Files of /proc that a test makes up."""
    files: dict[str, bytes] = {}
    monkeypatch.setattr(procfs, "read", lambda path, *_: files.get(path))
    user_namespace.strangers_uid.cache_clear()
    yield files
    user_namespace.strangers_uid.cache_clear()


@pytest.mark.parametrize(
    ("uid_map", "overflow", "strangers"),
    [
        (b"         0          0 4294967295\n", b"65534\n", None),
        (b"         0       1000          1\n", b"65534\n", 65534),
        (b"0 100000 65536\n", b"60000\n", 60000),
        (b"0 0 1000\n1000 1000 4294966295\n", b"65534\n", None),
        (b"", b"65534\n", None),
        (b"0 1000 1\n", b"", 65534),
    ],
)
def test_the_number_that_stands_for_strangers(
    uid_map: bytes, overflow: bytes, strangers: int | None, proc: dict[str, bytes]
) -> None:
    proc.update({"self/uid_map": uid_map, "sys/kernel/overflowuid": overflow})
    assert user_namespace.strangers_uid() == strangers


@pytest.mark.parametrize(("flag", "confined"), [(b"0", False), (b"1", True)])
def test_no_new_privileges_are_no_sudo(flag: bytes, confined: bool, proc: dict[str, bytes]) -> None:
    proc.update(
        {"self/uid_map": b"0 0 4294967295\n", "self/status": b"Seccomp:\t0\nNoNewPrivs:\t" + flag + b"\nX:\t1\n"}
    )
    assert user_namespace.confined() is confined
