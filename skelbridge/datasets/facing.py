"""Left and right by geometry: whether the sides that a dataset names fit the way its people face.

Sides cannot be told from limbs alone, but a body has a front: toes lie before heels, the nose before the ears, knees
bend forwards and elbows backwards. In a right-handed space left x up = forward; where a dataset's sides are swapped, or
its axes mirrored, the front that the sides give is the back of these cues. All is seen in the body's own axes, so
people may lie or stand on their heads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import rest_body
from skelbridge.landmarks import landmarks
from skelbridge.skeletons import Skeleton

Floats = NDArray[np.floating]

#: How far from a landmark a joint may lie at rest to stand for it, mm on a body of 1.7 m.
_NEAR = {
    "hip": 130, "shoulder": 90, "knee": 80, "ankle": 70, "elbow": 80, "wrist": 80, "big_toe_mtp": 110, "heel": 75,
    "ear": 60, "eye": 40, "nose": 60,
}  # fmt: skip
_LANDMARK = {"ear": "tragus", "eye": "pupil", "nose": "nose_tip"}
#: A bend counts from this share of the limb's length; a cue counts where it points clearly forwards or backwards.
_BENT, _CLEAR = 0.06, 0.4


def rest_joints(card: Skeleton) -> NDArray[np.float64]:
    """The joints on the body at rest of 1.7 m, (J, 3) mm, x left, y up, z forward; NaN where the card has no place."""
    placed = np.array([bool(joint.at) for joint in card.joints])
    found = landmarks().matrix([joint.at for joint in card.joints]) @ rest_body().landmarks
    return np.where(placed[:, None], found, np.nan)


def facing_votes(points: Floats, card: Skeleton) -> NDArray[np.intp]:
    """For each pose (N, J, 3), in a right-handed space, whether its sides fit its front: 1 yes, -1 no, 0 not told."""
    joints = _Joints(points, card)
    hips, shoulders = joints.pair("hip"), joints.pair("shoulder")
    if hips is None or shoulders is None:
        return np.zeros(len(points), np.intp)
    up = shoulders.mean(axis=0) - hips.mean(axis=0)
    legs, arms = (_unit(np.cross(pair[0] - pair[1], up)) for pair in (hips, shoulders))
    votes = np.zeros(len(points), np.intp)
    for cue, forward in (
        *((joints.foot(side), legs) for side in ("left", "right")),
        *((joints.bend(side, "hip", "knee", "ankle"), legs) for side in ("left", "right")),
        *((joints.bend(side, "shoulder", "elbow", "wrist", -1), arms) for side in ("left", "right")),
        (joints.head(), arms),
    ):
        if cue is not None:
            ahead = np.einsum("nd,nd->n", _unit(cue), forward)
            votes += np.where(np.abs(ahead) > _CLEAR, np.sign(np.nan_to_num(ahead)), 0).astype(np.intp)
    return np.sign(votes)


def limb_bones(card: Skeleton) -> NDArray[np.intp]:
    """The rigid bones of arms and legs, (B, 2, 2): left and right, and the two joints of each.

    Edges of a skeleton are no better: an ear's to a shoulder changes as the head turns.
    """
    rest, found = rest_joints(card), []
    for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        joints = [_nearest(rest, name, side) for side in ("left", "right") for name in (start, end)]
        if None not in joints and len(set(joints)) == 4:
            found.append(joints)
    return np.array(found, np.intp).reshape(-1, 2, 2)


def _nearest(rest: Floats, name: str, side: str) -> int | None:
    """The joint that stands for a landmark; None where none is near."""
    landmark = _LANDMARK.get(name, name)
    full = landmark if name == "nose" else f"{side}_{landmark}"
    distance = np.linalg.norm(rest - rest_body().landmarks[landmarks().index(full)], axis=-1)
    if np.isnan(distance).all() or np.nanmin(distance) > _NEAR[name]:
        return None
    return int(np.nanargmin(distance))


class _Joints:
    """The joints of poses by what they stand for."""

    def __init__(self, points: Floats, card: Skeleton):
        self.points, self.rest = np.asarray(points, float), rest_joints(card)

    def at(self, name: str, side: str = "left") -> Floats | None:
        """A joint, (N, 3); None where the skeleton has none such."""
        joint = _nearest(self.rest, name, side)
        return None if joint is None else self.points[:, joint]

    def pair(self, name: str) -> Floats | None:
        """Left and right, (2, N, 3)."""
        left, right = self.at(name, "left"), self.at(name, "right")
        return None if left is None or right is None else np.stack([left, right])

    def foot(self, side: str) -> Floats | None:
        toe, heel, ankle = self.at("big_toe_mtp", side), self.at("heel", side), self.at("ankle", side)
        rear = ankle if heel is None else heel
        return None if toe is None or rear is None else toe - rear

    def head(self) -> Floats | None:
        nose, eyes, ears = self.at("nose"), self.pair("eye"), self.pair("ear")
        front = nose if eyes is None else eyes.mean(axis=0)
        return None if front is None or ears is None else front - ears.mean(axis=0)

    def bend(self, side: str, start: str, middle: str, end: str, sign: int = 1) -> Floats | None:
        """From the straight line between a limb's ends to its middle joint; NaN where the limb is straight."""
        a, b, c = self.at(start, side), self.at(middle, side), self.at(end, side)
        if a is None or b is None or c is None:
            return None
        along = _unit(c - a)
        off = (b - a) - np.einsum("nd,nd->n", b - a, along)[:, None] * along
        length = np.linalg.norm(b - a, axis=-1) + np.linalg.norm(c - b, axis=-1)
        return np.where((np.linalg.norm(off, axis=-1) > _BENT * length)[:, None], sign * off, np.nan)


def _unit(vectors: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
