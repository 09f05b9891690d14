"""Names whatever could change the answer and was not seen: not seen never means free.  Pure."""

from __future__ import annotations

from portcheck.addresses import ANY6
from portcheck.diagnosis.bind_table import refused_by_nobody_seen
from portcheck.model import AS_ROOT, OUTSIDE, BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Diagnosis, Process, Row, Scene, Socket

# What a plain bind says where no socket hides from the table: it meets every one, whatever its options are.
HIDES_NOBODY = ("free", "not-available", "unsupported")
WITH_A_PLAIN_BIND = "ask with --no-reuseaddr: a plain bind tells, but may make a server fail that starts just then"

# What managers did not say of the holders of other ports that were asked about at the same time.
WHOSE_IT_IS = ("engine-no-answer", "service-manager-no-answer", "supervisor-no-answer")
# Who may hold a socket of which the holder is not known.
POSSIBLE_HOLDERS = ("too-many-descriptors", "io-uring-unnamed")


def blind_spots(
    finding: Diagnosis, rows: Sequence[Row], on_port: Sequence[Socket], scene: Scene
) -> tuple[BlindSpot, ...]:
    """Every gap of this answer, each code once."""
    table = scene.tables[finding.protocol].blind_spots
    moot = frozenset(_moot(finding, rows, on_port, scene))
    spots = [_with_a_way_out(spot, rows) for spot in (*table, *scene.blind_spots) if spot.code not in moot]
    spots += _exclusions(finding, scene)
    spots += _hidden_owners(finding, scene)
    spots += _open_rows(rows, on_port)
    spots += _untried(finding, rows)
    spots += cut_commands(owner.process for owner in finding.owners)
    return tuple({spot.code: spot for spot in spots}.values())


def _moot(finding: Diagnosis, rows: Sequence[Row], on_port: Sequence[Socket], scene: Scene) -> Iterator[str]:
    """The codes of gaps that cannot change this answer."""
    if any(row.blocked_by for row in rows):
        yield from ("processes-hidden", "redirections-not-seen")
    if all(row.method == "probe" and row.outcome == "free" for row in rows):
        yield from TRAITS[scene.platform].settled_by_binds
    explained = all(row.blocked_by or row.without_reuseaddr in HIDES_NOBODY for row in rows)
    if explained and not _takes_ipv4_by_refusals(finding, scene):
        yield "bound-not-visible"
    if not _hides_v6only(on_port):
        yield "v6only-hidden"
    if all(row.bind.family in scene.families for row in finding.binds):
        yield "family-refused"
    if not finding.sockets:
        yield from WHOSE_IT_IS
    if not any(_is_hidden(socket) for socket in finding.sockets):
        yield from POSSIBLE_HOLDERS


def _with_a_way_out(spot: BlindSpot, rows: Sequence[Row]) -> BlindSpot:
    """A plain bind finds whom no table shows: whether one may be made is for the user to say."""
    if spot.code == "bound-not-visible" and any(row.without_reuseaddr == "unknown" for row in rows):
        return spot._replace(remedy=WITH_A_PLAIN_BIND)
    return spot


def _takes_ipv4_by_refusals(finding: Diagnosis, scene: Scene) -> bool:
    """Whether a socket counts as dual-stack because IPv4 is refused: somebody who does not show could be why."""
    table = scene.tables[finding.protocol].sockets
    return any(socket.local_address == ANY6 and socket.v6only is False for socket in finding.sockets) and _hides_v6only(
        [socket for socket in table if socket.local_port == finding.port]
    )


def _hides_v6only(sockets: Sequence[Socket]) -> bool:
    if not sockets:
        return False
    from portcheck.diagnosis import v6only

    return any(map(v6only.does_not_show, sockets))


def hidden_owner(what: str, user: str | None, scene: Scene) -> BlindSpot:
    """The holder of `what` cannot be seen from here; what is advised is only what would help."""
    helps = scene.uid and not scene.confined
    remedy = AS_ROOT if helps else None if _has_possible_holders(scene) else OUTSIDE
    return BlindSpot(
        "owner-hidden",
        f"the process{f' of {user}' if user else ''} that holds {what} cannot be seen from here",
        remedy if TRAITS[scene.platform].has_sudo else None,
    )


def _has_possible_holders(scene: Scene) -> bool:
    return any(spot.code in POSSIBLE_HOLDERS for spot in scene.blind_spots)


def cut_commands(processes: Iterable[Process]) -> Iterator[BlindSpot]:
    """Who they are may be told by what was not read."""
    cut = [str(process.pid) for process in processes if process.command_is_cut]
    if cut:
        yield BlindSpot(
            "command-cut", f"the command line of PID {' and '.join(cut)} is so long that its end was not read"
        )


def _exclusions(finding: Diagnosis, scene: Scene) -> Iterator[BlindSpot]:
    if finding.verdict in ("denied", "unknown") and scene.policy.exclusions.get(finding.protocol) is False:
        yield BlindSpot(
            "excluded-ranges-unknown",
            "netsh does not say which port ranges Windows excludes from binding",
            f"netsh interface ipv4 show excludedportrange {finding.protocol}",
        )


def _is_hidden(socket: Socket) -> bool:
    return socket.pids is None and socket.inode != 0


def _hidden_owners(finding: Diagnosis, scene: Scene) -> Iterator[BlindSpot]:
    for socket in finding.sockets:
        place = f"{socket.local_address}:{socket.local_port}"
        if _is_hidden(socket):
            yield hidden_owner(place, socket.user, scene)
        elif socket.pids == () and socket.inode and (socket.protocol, socket.local_port) not in scene.kernel_owned:
            yield BlindSpot(
                "no-process",
                f"no process has {place} open: it is the kernel's own, on its way from one process to another,"
                " or in an io_uring that has no descriptor any more",
            )


def _untried(finding: Diagnosis, rows: Sequence[Row]) -> Iterator[BlindSpot]:
    """Which policies there are cannot be seen (Landlock, SELinux, a cgroup's BPF program): only a bind meets them."""
    by_rules = any(row.method == "rules" and row.outcome == "free" for row in rows)
    if finding.verdict == "free" and finding.protocol == "tcp" and by_rules:
        yield BlindSpot(
            "no-bind-tried", "no bind was tried: a security policy or sandbox that refuses one does not show"
        )


def _open_rows(rows: Sequence[Row], on_port: Sequence[Socket]) -> Iterator[BlindSpot]:
    for row in rows:
        if (row.outcome == "in-use" and not row.blocked_by) or refused_by_nobody_seen(row):
            yield BlindSpot(
                "holder-not-seen",
                f"the kernel refuses to bind {row.bind.address}, and no socket that holds it can be seen from here",
            )
        if row.outcome != "unknown" or row.shadows:  # refused or shared: a holder is known
            continue
        if row.error:
            yield BlindSpot("probe-failed", f"the bind of {row.bind.address} failed with {row.error}")
        elif row.conflicts:
            states = sorted({on_port[index].state or "UDP" for index in row.conflicts})
            yield BlindSpot(
                "flags-unreadable",
                f"whether {' and '.join(states)} sockets let another one in depends on their options,"
                " which cannot be read",
            )
        else:
            yield BlindSpot("undecided", f"the socket table alone cannot tell for {row.bind.address}")
