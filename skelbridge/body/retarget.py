"""Motion capture on the virtual body: the recorded person's pose on anny's bones.

Segments keep their global directions. The roll about a segment, which files define each in their own way,
is matched by anatomy: the elbow bends where the recorded elbow bends, the palm is told by the thumb's side,
the sole stands square to the shank. The turn between elbow and hand is spread over the two forearm bones,
that of upper arm and thigh over theirs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from skelbridge.body.hierarchy import Joints, Limbs, find_joints
from skelbridge.body.model import SPINE, VirtualBody
from skelbridge.body.rest import FORWARD, UP, upright
from skelbridge.body.rotations import Floats, about, between, blend, frame, twist_angle, unit
from skelbridge.io.motion import Motion

NECK = ("neck01", "neck02", "neck03")


def retarget(motion: Motion, body: VirtualBody) -> Floats:
    """Poses of the virtual body, (frames, bones, 3, 3), in which it looks like the recorded person.

    Fingers without a counterpart in the file stay as in the reference pose. Raises InputError for a
    hierarchy that is not known.
    """
    joints = find_joints(motion)
    return _Retargeting(upright(motion, joints), joints, body).poses()


class _Retargeting:
    """The parts of one retargeting: the source's rest and global rotations, the body's reference pose."""

    def __init__(self, motion: Motion, joints: Joints, body: VirtualBody):
        self.joints, self.body = joints, body
        self.rest = motion.rest_positions()
        self.turned = motion.global_rotations()
        self.points = motion.positions()
        self.heads = body.reference_heads
        self.pose = np.zeros((len(motion), len(body.bones), 3, 3))

    def poses(self) -> Floats:
        """Every bone's rotation, trunk first."""
        self._trunk()
        for letter, side in zip("LR", self.joints.sides, strict=True):
            self._arm(side, letter)
            self._leg(side, letter)
        return self.pose

    def _set(self, rotation: Floats, *bones: str) -> None:
        for bone in bones:
            self.pose[:, self.body.bones.index(bone)] = rotation

    def _head(self, bone: str) -> Floats:
        return self.heads[self.body.bones.index(bone)]

    def _aligned(self, joint: int, source: Floats, target: Floats) -> Floats:
        """Global rotations of the segment ending in `joint`; the body's `target` frame lies on `source`."""
        return self.turned[:, joint] @ (source @ target.T)

    def _trunk(self) -> None:
        joints = self.joints
        pelvis, head = self.turned[:, joints.pelvis], self.turned[:, joints.head]
        chest = self.turned[:, joints.spine[-1]]
        self._set(pelvis, "root", "pelvis.L", "pelvis.R")
        self._set(head, "head", "eye.L", "eye.R")
        spine = [(0.0, pelvis), *self._chain(joints.pelvis, joints.spine)]
        neck = [(0.0, chest), *self._chain(joints.spine[-1], joints.neck), (1.0, head)]
        for bones, end, knots in ((SPINE, "neck01", spine), (NECK, "head", neck)):
            ends = np.array([self._head(bone) for bone in (*bones, end)])
            place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ends, axis=0), axis=1))])
            for bone, middle in zip(bones, (place[1:] + place[:-1]) / 2 / place[-1], strict=True):
                self._set(_interpolated(knots, middle), bone)

    def _chain(self, start: int, chain: tuple[int, ...]) -> list[tuple[float, Floats]]:
        """Rotations of a chain's segments, each at the share of the chain's length where its middle lies."""
        ends = self.rest[[start, *chain]]
        place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ends, axis=0), axis=1))])
        middle = (place[1:] + place[:-1]) / 2 / place[-1]
        return [(float(at), self.turned[:, joint]) for at, joint in zip(middle, chain, strict=True)]

    def _arm(self, side: Limbs, letter: str) -> None:
        shoulder, elbow, wrist = (self._head(f"{bone}.{letter}") for bone in ("upperarm01", "lowerarm01", "wrist"))
        girdle = self.turned[:, side.shoulder]
        self._set(girdle, f"clavicle.{letter}", f"shoulder01.{letter}")
        upper = self._aligned(
            side.elbow,
            frame(self.rest[side.elbow] - self.rest[side.shoulder], self._elbow_bend(side)),
            frame(elbow - shoulder, wrist - elbow),
        )
        # Half of the upper arm's turn about itself happens in each of its two bones.
        self._set(_less_twist(girdle, upper, elbow - shoulder, 0.5), f"upperarm01.{letter}")
        self._set(upper, f"upperarm02.{letter}")
        forearm = _directed(upper, wrist - elbow, self.points[:, side.wrist] - self.points[:, side.elbow])
        hand = self._hand(side, letter)
        for bone, share in (("lowerarm01", 1 / 3), ("lowerarm02", 2 / 3)):
            self._set(_with_twist(forearm, hand, wrist - elbow, share), f"{bone}.{letter}")
        self._set(hand, f"wrist.{letter}", *(f"metacarpal{k}.{letter}" for k in range(1, 5)))

    def _elbow_bend(self, side: Limbs) -> Floats:
        """Where, in the source's rest pose, its elbow bends to: as seen in the motion, else forward."""
        forearm = unit(self.points[:, side.wrist] - self.points[:, side.elbow])
        seen = np.einsum("fba,fb->fa", self.turned[:, side.elbow], forearm)
        bone = unit(self.rest[side.elbow] - self.rest[side.shoulder])
        bend = np.mean(seen - (seen @ bone)[:, None] * bone, axis=0)
        return bend if np.linalg.norm(bend) > 0.15 else FORWARD

    def _hand(self, side: Limbs, letter: str) -> Floats:
        wrist = self._head(f"wrist.{letter}")
        knuckles = self._head(f"finger3-1.{letter}") - wrist
        radial = self._head(f"finger2-1.{letter}") - self._head(f"finger5-1.{letter}")
        palm = frame(knuckles, radial)
        along = self.rest[side.hand] - self.rest[side.wrist]
        thumb = FORWARD if side.thumb is None else self.rest[side.thumb] - self.rest[side.wrist]
        source = frame(along, thumb)
        hand = self._aligned(side.hand, source, palm)
        for finger in range(1, 6):
            bones = [f"finger{finger}-{k}.{letter}" for k in (1, 2, 3)]
            self._set(hand, *bones)
            if side.fingers:
                self._finger(side.fingers[finger - 1], bones, source[:, 2], palm[:, 2])
        return hand

    def _finger(self, joints: tuple[int, ...], bones: list[str], source_palm: Floats, palm: Floats) -> None:
        for k, bone in enumerate(bones):
            # The last phalanx has no further joint (files often put its end site on the joint itself): it
            # goes on as the one before.
            first = min(k, 1)
            source = self.rest[joints[first + 1]] - self.rest[joints[first]]
            target = self._head(bones[first + 1]) - self._head(bones[first])
            self._set(self._aligned(joints[k + 1], frame(source, source_palm), frame(target, palm)), bone)

    def _leg(self, side: Limbs, letter: str) -> None:
        hip, knee, ankle = (self._head(f"{bone}.{letter}") for bone in ("upperleg01", "lowerleg01", "foot"))
        pelvis = self.turned[:, self.joints.pelvis]
        thigh = self._aligned(
            side.knee, frame(self.rest[side.knee] - self.rest[side.hip], FORWARD), frame(knee - hip, FORWARD)
        )
        self._set(_less_twist(pelvis, thigh, knee - hip, 0.5), f"upperleg01.{letter}")
        self._set(thigh, f"upperleg02.{letter}")
        shank = _directed(thigh, ankle - knee, self.points[:, side.ankle] - self.points[:, side.knee])
        source, sole = self._sole(side), frame(UP, self._head(f"toe3-1.{letter}") - ankle)
        foot = self._aligned(side.ball, source, sole)
        self._set(shank, f"lowerleg01.{letter}")
        self._set(_with_twist(shank, foot, ankle - knee, 0.5), f"lowerleg02.{letter}")
        self._set(foot, f"foot.{letter}")
        toes = foot if side.toe is None else self._aligned(side.toe, source, sole)
        phalanges = [f"toe{toe}-{k}.{letter}" for toe in range(1, 6) for k in range(1, 3 if toe == 1 else 4)]
        self._set(toes, *phalanges)

    def _sole(self, side: Limbs) -> Floats:
        """Up and ahead for the sole in the source's rest pose, in which legs may be splayed, not bent."""
        up = unit(self.rest[side.knee] - self.rest[side.ankle])
        return frame(up - FORWARD * (up @ FORWARD), self.rest[side.ball] - self.rest[side.ankle])


def _interpolated(knots: list[tuple[float, Floats]], place: float) -> Floats:
    """Rotations between those at the knots around `place`; beyond the last knot they stay."""
    for (start, before), (end, after) in pairwise(knots):
        if place <= end:
            return blend(before, after, (place - start) / max(end - start, 1e-9))
    return knots[-1][1]


def _directed(rotation: Floats, bone: Floats, direction: Floats) -> Floats:
    """`rotation` and the smallest turn that brings the bone's rest vector to `direction` (frames, 3)."""
    return between(rotation @ bone, direction) @ rotation


def _with_twist(rotation: Floats, end: Floats, axis: Floats, share: float) -> Floats:
    """`rotation` with a share of the turn about the bone's `axis` that leads to `end`."""
    angle = twist_angle(np.swapaxes(rotation, -1, -2) @ end, axis)
    return rotation @ about(np.broadcast_to(axis, (*angle.shape, 3)), share * angle)


def _less_twist(parent: Floats, rotation: Floats, axis: Floats, share: float) -> Floats:
    """`rotation` less a share of its turn about the bone's `axis` relative to the parent's rotation."""
    angle = twist_angle(np.swapaxes(parent, -1, -2) @ rotation, axis)
    return rotation @ about(np.broadcast_to(axis, (*angle.shape, 3)), -share * angle)
