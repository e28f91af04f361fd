"""What the pictures of an autoencoder share: latents and joints on the average body, their sides, parts and names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import rest_body
from skelbridge.landmarks import landmarks, mirrored_name
from skelbridge.plot.ink import Floats, body_box, box, joint_sides
from skelbridge.plot.recorded import pose_axes

if TYPE_CHECKING:
    from skelbridge.bridge.acae import ACAE

#: Parts of the body from the head down, as the landmarks call them.
PARTS = ("head", "face", "trunk", "arm", "hand", "leg", "foot")
#: A point farther from the skin than this is outside of the body, mm.
_SKIN = 15.0


@dataclass(frozen=True)
class Average:
    """An autoencoder on the average body, mm: x to its left, y up, z forward.

    latents (L, 3); joints (J, 3); on_body: whether that is the rest body, which can be drawn behind.
    """

    latents: Floats
    joints: Floats
    on_body: bool

    @classmethod
    def of(cls, acae: ACAE) -> Average:
        """The rest body where the formats say where their joints lie, else the mean pose, upright."""
        placed = [card for card in acae.joints.formats if all(joint.at for joint in card.joints)]
        joints = acae.mean_pose
        on_body = any(
            np.allclose(joints[acae.joints.slice_of(card)], card.placement @ rest_body().landmarks, atol=1)
            for card in placed
        )
        if not on_body:
            first = acae.joints.formats[0]
            joints = joints @ pose_axes(joints[: len(first)], first).T
        return cls(np.asarray(acae.encode(joints)), joints, on_body)

    def box(self, points: Floats) -> tuple[Floats, Floats]:
        """Lowest and highest corner (3,) of the body together with points (N, 3)."""
        return body_box(points) if self.on_body else box(np.concatenate([self.joints, points]), 60.0)

    def parts(self, points: Floats) -> list[str]:
        """For each of the points (N, 3) the part of the body where it lies, one of PARTS; "" without the rest body."""
        if not self.on_body:
            return [""] * len(points)
        known, places = landmarks(), rest_body().landmarks
        listed = {landmark.name: landmark.part for landmark in known.listed}
        part = [listed.get(name) or listed[mirrored_name(name)] for name in known.names]
        return [part[np.argmin(np.linalg.norm(places - point, axis=1))] for point in points]


def latent_sides(acae: ACAE) -> list[str]:
    """For each latent "left", "right" or "centre"."""
    return [("centre", "left", "right")[np.sign(image - i)] for i, image in enumerate(acae.latent_mirror)]


def short_name(latent: str, side: str) -> str:
    """The name of a sided latent without its side, for where colour or place tell the side."""
    return latent.removeprefix(f"{side}_").replace("_", " ")


def outside(points: Floats) -> NDArray[np.bool_]:
    """Which of the points (N, 3) are outside of the rest body and not on its skin.

    By the winding number, the sum of the solid angles of the triangles (Van Oosterom and Strackee 1983).
    """
    body = rest_body()
    result = np.zeros(len(points), dtype=bool)
    for i, point in enumerate(points):
        corners = body.vertices - point
        length = np.linalg.norm(corners, axis=1)
        a, b, c = np.moveaxis(corners[body.triangles], 1, 0)
        la, lb, lc = length[body.triangles].T
        dot_ab, dot_bc, dot_ca = (np.einsum("nd,nd->n", p, q) for p, q in ((a, b), (b, c), (c, a)))
        solid = np.arctan2(
            np.einsum("nd,nd->n", a, np.cross(b, c)), la * lb * lc + dot_ab * lc + dot_bc * la + dot_ca * lb
        )
        result[i] = abs(solid.sum()) < np.pi and length.min() > _SKIN
    return result


@dataclass(frozen=True)
class MergedJoints:
    """Joints of different formats that are one place for the autoencoder.

    of_joint (J,): the place of each joint; names, sides: of each place; formats: the formats that have it.
    """

    of_joint: NDArray[np.intp]
    first: NDArray[np.intp]
    names: list[str]
    sides: list[str]
    formats: list[list[str]]

    @classmethod
    def of(cls, acae: ACAE) -> MergedJoints:
        """Places are what shares the mean pose and the row of the decoder."""
        key = np.round(np.concatenate([acae.decoder, acae.mean_pose / 1000], axis=1), 4) + 0.0
        _, first, of_joint = np.unique(key, axis=0, return_index=True, return_inverse=True)
        of_joint = of_joint.reshape(-1)
        native = [name for card in acae.joints.formats for name in card.names]
        side = [word for card in acae.joints.formats for word in joint_sides(card)]
        owner = [str(card) for card in acae.joints.formats for _ in card.names]
        members: list[list[int]] = [[] for _ in first]
        for joint, place in enumerate(of_joint):
            members[place].append(joint)
        return cls(
            of_joint,
            first,
            [Counter(native[j] for j in inside).most_common(1)[0][0] for inside in members],
            [Counter(side[j] for j in inside).most_common(1)[0][0] for inside in members],
            [list(dict.fromkeys(owner[j] for j in inside)) for inside in members],
        )

    def __len__(self) -> int:
        return len(self.first)

    def summed(self, weights: Floats) -> Floats:
        """Weights of joints (..., J) added up over places, (..., places)."""
        return weights @ np.eye(len(self))[self.of_joint]

    def label(self, place: int, most: int = 2) -> str:
        """A place in words: its name, and the formats that have it, or how many."""
        formats = self.formats[place]
        return f"{self.names[place]} ({', '.join(formats) if len(formats) <= most else f'{len(formats)} formats'})"
