"""Articulated motion: the hierarchy and the rotations of a BVH or ASF/AMC file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """A skeleton of rigid segments and their rotations over time.

    Every joint owns the segment that ENDS in it, from its parent joint to itself. So, for every container,

        position(joint) = position(parent) + global_rotation(joint) @ offset(joint)

    In ASF that is how bones are written (a bone turns its own end point). In BVH a joint turns the segments
    of its children, so the rotation written for a joint is found here at its children, and an end site
    carries the rotation of the last joint. The root has no segment; its rotation is that of the whole body.

    names: joint names as in the file.
    parents: (joints,) index of the parent, -1 for the root; parents come first.
    offsets: (joints, 3) from the parent joint in the rest pose, global axes, file units; zero for the root.
    rotations: (frames, joints, 3, 3) of each segment relative to its parent's segment, in the global axes of
        the rest pose; the identity everywhere is the rest pose. Matrices act on columns, from the left.
    root_positions: (frames, 3) in file units.
    fps: frames a second, None where the container does not say (AMC).
    units: millimetres in a file unit, None where the file does not say (BVH).
    translations: (frames, joints, 3) in place of `offsets` where these change over time, else None.
    """

    names: tuple[str, ...]
    parents: NDArray[np.intp]
    offsets: Floats
    rotations: Floats
    root_positions: Floats
    fps: float | None = None
    units: float | None = None
    translations: Floats | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.root_positions)

    def index(self, name: str) -> int:
        """Position of a joint by its name in the file."""
        if name not in self.names:
            raise InputError(f"the motion has no joint {name!r}", expected=f"one of {', '.join(self.names)}")
        return self.names.index(name)

    def global_rotations(self) -> Floats:
        """Rotation of each segment from the rest pose, global axes, (frames, joints, 3, 3)."""
        turned = self.rotations.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                turned[:, joint] = turned[:, parent] @ self.rotations[:, joint]
        return turned

    def positions(self) -> Floats:
        """Joint positions, (frames, joints, 3), file units."""
        moved = self.translations
        if moved is None:
            moved = np.broadcast_to(self.offsets, self.rotations.shape[:-1])
        segments = np.einsum("fjab,fjb->fja", self.global_rotations(), moved)
        segments[:, self.parents < 0] = self.root_positions[:, None]
        return chained(self.parents, segments)

    def rest_positions(self) -> Floats:
        """Joint positions of the rest pose with the root at the origin, (joints, 3), file units."""
        return chained(self.parents, self.offsets[None])[0]

    def rebased(self, frame: int) -> Motion:
        """The same motion with the pose of `frame` as its rest pose (root turned along).

        Wanted where the file's zero pose is no body pose: some exporters write bone axes instead, and put a
        T-pose into the first frame.
        """
        turned = self.global_rotations()
        start = turned[frame]
        offsets = np.einsum("jab,jb->ja", start, self.offsets)
        translations = None if self.translations is None else np.einsum("jab,fjb->fja", start, self.translations)
        rotations = relative_rotations(self.parents, turned @ np.swapaxes(start, -1, -2))
        return replace(self, offsets=offsets, translations=translations, rotations=rotations)


def chained(parents: NDArray[np.intp], segments: Floats) -> Floats:
    """Positions from segment vectors, both (frames, joints, 3): the sum of the segments from the root on."""
    points = segments.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            points[:, joint] += points[:, parent]
    return points


def relative_rotations(parents: NDArray[np.intp], turned: Floats) -> Floats:
    """Rotations relative to the parent's, (..., joints, 3, 3), from global ones."""
    relative = np.swapaxes(turned[..., parents, :, :], -1, -2) @ turned
    relative[..., parents < 0, :, :] = turned[..., parents < 0, :, :]
    return relative


def elementary_rotation(axis: str, angle: Floats) -> Floats:
    """Right-handed rotation about x, y or z by `angle` (...,) in radians, (..., 3, 3)."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[...] = np.eye(3)
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def rotation_product(axes: str, angles: Floats) -> Floats:
    """Rotations about `axes` by `angles` (..., axes) in radians, multiplied left to right, (..., 3, 3)."""
    if not axes:
        return np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3))
    product = elementary_rotation(axes[0], angles[..., 0])
    for position, axis in enumerate(axes[1:], start=1):
        product = product @ elementary_rotation(axis, angles[..., position])
    return product
