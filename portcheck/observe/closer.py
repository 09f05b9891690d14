"""A closer look by tools that take their time: only where a bind was refused, and nothing that was seen explains it."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.model import Row, Scene
    from portcheck.target import Endpoint


def unexplained(rows: Iterable[Row]) -> bool:
    """Whether the kernel refused a bind because of something that does not show."""
    return any(row.outcome in ("in-use", "denied") and row.error and not row.blocked_by for row in rows)


def look_closer(scene: Scene, endpoint: Endpoint) -> Scene | None:
    """The scene with more in it; None where there is nothing more to learn of this endpoint."""
    if scene.platform == "windows":
        return _with_exclusions(scene)
    if scene.platform == "linux":
        return None
    from portcheck.observe.lsof import with_sockets

    return with_sockets(scene, endpoint)


def without_binds(scene: Scene) -> Scene:
    """What has to be asked beforehand where no bind is going to tell."""
    return _with_exclusions(scene) or scene if scene.platform == "windows" else scene


def _with_exclusions(scene: Scene) -> Scene | None:
    if scene.policy.exclusions != "not asked":
        return None
    from portcheck.observe.windows_ports import with_exclusions

    return scene._replace(policy=with_exclusions(scene.policy, scene.families))
