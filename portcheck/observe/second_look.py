"""A closer look by tools that take their time: only where a bind was refused, and nothing that was seen explains it."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Protocol, Scene
    from portcheck.target import Endpoint


def look_closer(scene: Scene, endpoint: Endpoint) -> Scene | None:
    """The scene with more in it; None where there is nothing more to learn of this endpoint."""
    if scene.platform == "windows":
        return _with_exclusions(scene, (endpoint.protocol,))
    if scene.platform == "linux":
        return None
    from portcheck.observe.portable.lsof import with_sockets

    return with_sockets(scene, endpoint)


def without_binds(scene: Scene) -> Scene:
    """What has to be asked beforehand where no bind is going to tell."""
    return (_with_exclusions(scene, tuple(scene.tables)) or scene) if scene.platform == "windows" else scene


def _with_exclusions(scene: Scene, protocols: tuple[Protocol, ...]) -> Scene | None:
    if all(protocol in scene.policy.exclusions for protocol in protocols):
        return None
    from portcheck.observe.windows.netsh import with_exclusions

    return scene._replace(policy=with_exclusions(scene.policy, protocols, scene.families))
