"""The rest pose of a motion file: brought upright, or found where the file has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations, product

import numpy as np

from skelbridge.body.hierarchy import Joints
from skelbridge.body.rotations import Floats, between, unit
from skelbridge.io.motion import Motion, relative_rotations

UP, FORWARD, LEFT = np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
#: From ankle to the ball of the foot, standing.
FOOT = unit(FORWARD - 0.25 * UP)
#: How far, in degrees, a limb of the first frame may point off a T-pose's for the frame to count as one.
T_POSE_TOLERANCE = 30.0
#: The 24 rotations that put axes on axes.
_AXES_ON_AXES = np.array(
    [
        matrix
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
        if np.linalg.det(matrix := np.eye(3)[list(order)] * signs) > 0
    ]
)


def upright(motion: Motion, joints: Joints) -> Motion:
    """The same motion in the body's axes (x left, y up, z forward), with a rest pose that stands on its feet.

    Some exporters make the zero pose of a file out of the bones' own axes; it is no body pose then. The
    first frame replaces it if it shows a T-pose; else the T-pose is the one that has every bone's axes
    parallel to the body's.
    """
    if not _stands(motion.rest_positions(), joints):
        motion = _with_t_pose(motion, joints)
    rest = motion.rest_positions()
    left, right = joints.sides
    up = _nearest_axis(rest[joints.head] - rest[joints.pelvis])
    across = rest[left.hip] - rest[right.hip]
    across = unit(across - up * (across @ up))
    axes = np.stack([across, up, np.cross(across, up)])
    return replace(
        motion,
        offsets=motion.offsets @ axes.T,
        rotations=axes @ motion.rotations @ axes.T,
        root_positions=motion.root_positions @ axes.T,
        translations=None if motion.translations is None else motion.translations @ axes.T,
    )


def _nearest_axis(vector: Floats) -> Floats:
    longest = np.argmax(np.abs(vector))
    return np.eye(3)[longest] * np.sign(vector[longest])


def _stands(rest: Floats, joints: Joints) -> bool:
    """Whether the legs go down where the trunk goes up."""
    trunk = unit(rest[joints.head] - rest[joints.pelvis])
    return all(trunk @ unit(rest[side.ankle] - rest[side.hip]) < -0.5 for side in joints.sides)


def _with_t_pose(motion: Motion, joints: Joints) -> Motion:
    """The motion with a T-pose as its rest pose: the first frame, or one found from the bones' axes."""
    turned = motion.global_rotations()
    start = _t_pose(motion, joints, turned)
    heading = turned[0, joints.pelvis] @ start[joints.pelvis].T
    seen = [
        (heading.T @ turned[0, joint] @ _direction(motion, joint)) @ expected
        for joint, _, expected in _segments(joints)
        if expected is not UP and _direction(motion, joint).any()
    ]
    if min(seen) > np.cos(np.radians(T_POSE_TOLERANCE)):
        return motion.rebased(0)
    moved = motion.translations
    return replace(
        motion,
        offsets=np.einsum("jab,jb->ja", start, motion.offsets),
        translations=None if moved is None else np.einsum("jab,fjb->fja", start, moved),
        rotations=relative_rotations(motion.parents, turned @ np.swapaxes(start, -1, -2)),
    )


def _t_pose(motion: Motion, joints: Joints, turned: Floats) -> Floats:
    """Global rotation of each segment, from the zero pose, in a T-pose, (joints, 3, 3).

    Of the 24 ways to lay a bone's axes on the body's, the one that points the bone as in a T-pose and, on
    average over the motion, turns it least against its parent. The trunk is straight and the head looks ahead on
    average: files of this kind often hold heads that are bowed, and backs that are hollow, all the time.
    """
    start = np.zeros((len(motion.names), 3, 3))
    left, right = joints.sides
    across = unit(motion.offsets[left.hip] - motion.offsets[right.hip])
    rise = motion.positions()[:, joints.spine[-1]] - motion.positions()[:, joints.pelvis]
    up = np.mean(np.einsum("fba,fb->fa", turned[:, joints.pelvis], unit(rise)), axis=0)
    axes = max(_AXES_ON_AXES, key=lambda axes: LEFT @ axes @ across + UP @ axes @ up)
    start[joints.pelvis] = between(axes @ unit(up), UP) @ axes  # the trunk rises straight from the pelvis on average
    for joint, parent, expected in _segments(joints):
        relative = np.mean(np.swapaxes(turned[:, parent], -1, -2) @ turned[:, joint], axis=0)
        along = _direction(motion, joint)
        scores = [expected @ axes @ along + np.trace(start[parent] @ relative @ axes.T) / 3 for axes in _AXES_ON_AXES]
        best = _AXES_ON_AXES[int(np.argmax(scores))]
        limb = along.any() and expected is not UP
        start[joint] = between(best @ along, expected) @ best if limb else best
    chest = joints.spine[-1]
    for base, chain in ((joints.pelvis, joints.spine), (chest, (*joints.neck, joints.head))):
        for joint in chain:
            # The mean rotation against the base, made a rotation again (polar decomposition).
            relative = np.mean(np.swapaxes(turned[:, base], -1, -2) @ turned[:, joint], axis=0)
            first, _, last = np.linalg.svd(start[base] @ relative)
            start[joint] = first @ last
    for joint, parent in enumerate(motion.parents):
        if not start[joint].any():
            start[joint] = start[parent] if parent >= 0 and start[parent].any() else start[joints.pelvis]
    return start


def _direction(motion: Motion, joint: int) -> Floats:
    """Unit direction of a segment in the file's zero pose; zero for one without a length to speak of."""
    lengths = np.linalg.norm(motion.offsets, axis=-1)
    return unit(motion.offsets[joint]) if lengths[joint] > 0.01 * lengths.max() else np.zeros(3)


def _segments(joints: Joints) -> Iterator[tuple[int, int, Floats]]:
    """Segments of trunk and limbs from the pelvis on: joint, joint of the segment before, way in a T-pose."""
    spine = [joints.pelvis, *joints.spine]
    for before, joint in pairwise(spine):
        yield joint, before, UP
    for side, out in zip(joints.sides, (LEFT, -LEFT), strict=True):
        legs = [joints.pelvis, side.knee, side.ankle, side.ball, *([] if side.toe is None else [side.toe])]
        for before, joint, to in zip(legs, legs[1:], (-UP, -UP, FOOT, FORWARD), strict=False):
            yield joint, before, to
        arms = [joints.spine[-1], side.shoulder, side.elbow, side.wrist, side.hand]
        for before, joint in pairwise(arms):
            yield joint, before, out
