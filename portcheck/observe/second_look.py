"""A second look with slow tools: taken only where a bind was refused, and nothing that was seen explains it."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.holders import with_holders
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Scene
    from portcheck.target import Endpoint


def look_closer(scene: Scene, endpoint: Endpoint) -> Scene | None:
    """The scene with more in it; None where there is nothing more to learn of this endpoint."""
    closer = BACK_END.second_look(scene, endpoint)
    if closer is None or closer.tables is scene.tables:
        return closer
    return with_holders(closer)
