"""Lengths and offsets within a body, from points of any format, and what a card foretells of them.

All are in mm on a body whose leg (thigh and shank, mean of both sides, median over the frames) is as long as the
card's on the rest body, so that people of any size compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.rotations import unit
from skelbridge.bridge import rest_body
from skelbridge.landmarks import mirrored_name
from skelbridge.skeletons import Skeleton

Array = NDArray[np.float64]
#: The points of a joint, by name, (N, 3).
Points = Callable[[str], Array]

LENGTHS = {
    "hip to hip": ("left_hip", "right_hip"),
    "shoulder to shoulder": ("left_shoulder", "right_shoulder"),
    "thigh": ("{side}_hip", "{side}_knee"),
    "shank": ("{side}_knee", "{side}_ankle"),
    "upper arm": ("{side}_shoulder", "{side}_elbow"),
    "forearm": ("{side}_elbow", "{side}_wrist"),
    "ankle to heel": ("{side}_ankle", "{side}_heel"),
    "ankle to big toe": ("{side}_ankle", "{side}_big_toe"),
    "heel to big toe": ("{side}_heel", "{side}_big_toe"),
    "big to small toe": ("{side}_big_toe", "{side}_small_toe"),
    "mid-hip to mid-shoulder": ("mid_hip", "mid_shoulder"),
    "mid-shoulder to neck": ("mid_shoulder", "neck"),
    "neck to head top": ("neck", "head_top"),
    "mid-shoulder to head top": ("mid_shoulder", "head_top"),
}
#: Offsets: the joint, the frame it is seen in and the axis of that frame.
OFFSETS = {
    "pelvis above mid-hip": ("pelvis", "trunk", 1),
    "pelvis before mid-hip": ("pelvis", "trunk", 2),
    "ankle before heel": ("{side}_ankle", "foot", 2),
    "ankle above sole": ("{side}_ankle", "foot", 1),
    "ankle towards little toe": ("{side}_ankle", "foot", 0),
}
MEASURES = (*LENGTHS, *OFFSETS)


def measure(points: Points, name: str, side: str) -> Array:
    """One length or offset, (N,), in the points' unit, of the side asked for."""
    if name in LENGTHS:
        a, b = (points(joint.format(side=side)) for joint in LENGTHS[name])
        return np.linalg.norm(a - b, axis=-1)
    joint, place, axis = OFFSETS[name]
    origin, axes = foot_axes(points, side) if place == "foot" else trunk_axes(points)
    return np.einsum("ni,ni->n", points(joint.format(side=side)) - origin, axes[axis])


def trunk_axes(points: Points) -> tuple[Array, Array]:
    """Mid-hip (N, 3), and the body's left, up and forward (3, N, 3), from hips and shoulders."""
    up = unit(points("mid_shoulder") - points("mid_hip"))
    left = points("left_shoulder") - points("right_shoulder") + points("left_hip") - points("right_hip")
    left = unit(left - up * np.sum(left * up, axis=-1, keepdims=True))
    return points("mid_hip"), np.stack([left, up, np.cross(left, up)])


def foot_axes(points: Points, side: str) -> tuple[Array, Array]:
    """The heel (N, 3), and the directions to the little toe, up from the sole, and forward (3, N, 3), from the toes."""
    heel, big, small = (points(f"{side}_{joint}") for joint in ("heel", "big_toe", "small_toe"))
    forward = unit((big + small) / 2 - heel)
    out = small - big
    out = unit(out - forward * np.sum(out * forward, axis=-1, keepdims=True))
    up = np.cross(forward, out) if side == "left" else np.cross(out, forward)
    return heel, np.stack([out, up, forward])


def leg(points: Points) -> float:
    """Thigh and shank, mean of both sides, median over the frames."""
    lengths = [measure(points, name, side) for name in ("thigh", "shank") for side in ("left", "right")]
    return float(np.nanmedian(np.sum(lengths, axis=0) / 2))


def of_format(points: Array, card: Skeleton) -> Points:
    """Points by joint name, NaN where the format has no such joint; `mid_x` is the middle of left_x and right_x.

    points: (N, joints, 3).
    """

    def get(name: str) -> Array:
        if name.startswith("mid_"):
            return (get(f"left_{name[4:]}") + get(f"right_{name[4:]}")) / 2
        return points[:, card.index(name)] if name in card.names else np.full((len(points), 3), np.nan)

    return get


def sided(name: str) -> tuple[str, ...]:
    """The sides that a measure has."""
    pattern = " ".join(LENGTHS[name]) if name in LENGTHS else OFFSETS[name][0]
    return ("left", "right") if "{side}" in pattern else ("left",)


def measured(points: Points, name: str, legs: float | Array) -> Array:
    """A measure of each frame, mean of both sides, relative to the legs, (N,)."""
    return np.mean([measure(points, name, side) for side in sided(name)], axis=0) / legs


@dataclass(frozen=True)
class Foretold:
    """What a card says of a measure, mm: on the rest body, the standard uncertainty from its joints' places, and
    the standard deviation between adults (NaN if it was not asked for)."""

    value: float
    places: float
    people: float


def foretold(card: Skeleton, adults: Array | None = None, draws: int = 400) -> dict[str, Foretold]:
    """All measures of a card on the rest body; adults (N, landmarks, 3), bodies whose scatter is that of people.

    Places are drawn with the card's uncertainty, alike in all directions, mirror images for left and right.
    """
    rest = (card.placement @ rest_body().landmarks)[None]
    size = leg(of_format(rest, card))
    drawn = of_format(rest + _drawn_places(card, draws), card)
    legs = np.mean([measure(drawn, n, s) for n in ("thigh", "shank") for s in ("left", "right")], axis=0) * 2
    people = of_format(np.zeros((0, len(card), 3)) if adults is None else card.placement @ adults, card)
    their_legs = np.mean([measure(people, n, s) for n in ("thigh", "shank") for s in ("left", "right")], axis=0) * 2
    found = {}
    for name in MEASURES:
        value = measured(of_format(rest, card), name, 1.0)[0]
        unsure = size * np.std(measured(drawn, name, legs))
        scatter = size * np.std(measured(people, name, their_legs)) if adults is not None else np.nan
        found[name] = Foretold(float(value), float(unsure), float(scatter))
    return found


def _drawn_places(card: Skeleton, draws: int) -> Array:
    """Errors of the joints' places, (draws, joints, 3): a joint and its mirror partner share theirs."""
    error = np.random.default_rng(0).normal(size=(draws, len(card), 3))
    error *= card.placement_uncertainty[:, None] / np.sqrt(3)
    mirrored = error[:, card.mirror_index] * [-1, 1, 1]
    right = np.array([name.startswith("right_") for name in card.names])
    central = np.array([mirrored_name(name) == name for name in card.names])
    error[:, right] = mirrored[:, right]
    error[:, central, 0] = 0
    return error
