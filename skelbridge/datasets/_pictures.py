"""The size of pictures, for datasets that say it nowhere else."""

from __future__ import annotations

from skelbridge.io.images import image_size
from skelbridge.io.tree import Tree


def size_of(tree: Tree, path: str) -> tuple[int, int]:
    """Width and height of a picture in pixels, from its head; (0, 0), that is unknown, where it is not there."""
    if not tree.exists(path):
        return 0, 0
    with tree.open(path) as stream:
        return image_size(stream, str(tree.root / path))
