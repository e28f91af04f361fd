"""skelbridge: convert human poses between skeleton formats, with an honest expected error for every joint.

The front door is `skelbridge.convert.convert`; `skelbridge.read` and `skelbridge.write` are pose files,
`skelbridge.skeleton("coco")` is a format's card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skelbridge.io import read, write
    from skelbridge.poses import Poses
    from skelbridge.skeletons import Skeleton, formats, skeleton

__version__ = "0.1.0"
__all__ = ["Poses", "Skeleton", "formats", "read", "skeleton", "write"]

_HOMES = {
    "Poses": "skelbridge.poses",
    "Skeleton": "skelbridge.skeletons",
    "formats": "skelbridge.skeletons",
    "skeleton": "skelbridge.skeletons",
    "read": "skelbridge.io",
    "write": "skelbridge.io",
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used, so that `import skelbridge` costs nothing."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skelbridge' has no attribute {name!r}")
