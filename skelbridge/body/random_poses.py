"""Random poses within the limits of human joints, and hands for recordings that have none.

A joint's angles are drawn between its limits with the neutral pose as the most frequent one; angles that go
together in people (knee with hip, one finger with the next, left with right) are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skelbridge.body.model import SPINE, VirtualBody
from skelbridge.body.rotations import Floats, about, frame, unit
from skelbridge.errors import need


@dataclass(frozen=True)
class Angle:
    """One angle of a joint, in degrees from the reference pose, shared out over its bones.

    axis: right-handed; x, y, z of the body for the left side (mirrored for the right), or a name of `_axes`.
    low, usual, high: limits and the most frequent value. follows: an earlier angle that this one goes with,
    and how closely (correlation).
    """

    name: str
    bones: tuple[str, ...]
    axis: str
    low: float
    usual: float
    high: float
    follows: tuple[str, float] = ("", 0.0)


NECK = ("neck01", "neck02", "neck03", "head")
SHOULDER = ("clavicle", "shoulder01")

TRUNK = (
    Angle("spine_bend", SPINE, "+x", -25, 5, 70),
    Angle("spine_side", SPINE, "+z", -30, 0, 30),
    Angle("spine_turn", SPINE, "+y", -40, 0, 40),
    Angle("neck_bend", NECK, "+x", -45, 0, 45),
    Angle("neck_side", NECK, "+z", -35, 0, 35),
    Angle("neck_turn", NECK, "+y", -65, 0, 65, ("spine_turn", 0.4)),
)
#: Limits after standard ranges of motion (American Academy of Orthopaedic Surgeons), less what the
#: reference pose has.
LIMBS = (
    Angle("hip_flexion", ("upperleg01",), "-x", -20, 15, 115),
    Angle("hip_abduction", ("upperleg01",), "+z", -25, 0, 40),
    Angle("hip_rotation", ("upperleg01", "upperleg02"), "thigh", -35, 0, 40),
    Angle("knee_flexion", ("lowerleg01",), "+x", 0, 15, 130, ("hip_flexion", 0.7)),
    Angle("ankle_flexion", ("foot",), "+x", -20, 0, 45),
    Angle("ankle_inversion", ("foot",), "+z", -15, 0, 20),
    Angle(
        "toe_extension",
        tuple(f"toe{toe}-1" for toe in range(1, 6)),
        "each -x",
        -20,
        5,
        50,
        ("ankle_flexion", 0.5),
    ),
    Angle("shoulder_lift", SHOULDER, "+z", -10, -3, 25),
    Angle("shoulder_forward", SHOULDER, "-y", -15, 0, 20),
    Angle("arm_flexion", ("upperarm01",), "-x", -40, 10, 135),
    Angle("arm_abduction", ("upperarm01",), "+z", -45, -30, 95, ("shoulder_lift", 0.7)),
    Angle("arm_rotation", ("upperarm01", "upperarm02"), "upper arm", -60, 0, 60),
    Angle("elbow_flexion", ("lowerarm01",), "elbow", -42, 0, 100),
    Angle("forearm_rotation", ("lowerarm01", "lowerarm02", "wrist"), "forearm", -75, 0, 75),
    Angle("wrist_flexion", ("wrist",), "knuckles", -60, -5, 65),
    Angle("wrist_deviation", ("wrist",), "palm", -20, 0, 30),
)
HANDS = (
    Angle("curl1", ("finger2-1", "finger2-2", "finger2-3"), "each knuckles", -25, 15, 65),
    Angle("curl2", ("finger3-1", "finger3-2", "finger3-3"), "each knuckles", -25, 20, 65, ("curl1", 0.8)),
    Angle("curl3", ("finger4-1", "finger4-2", "finger4-3"), "each knuckles", -25, 20, 65, ("curl2", 0.9)),
    Angle("curl4", ("finger5-1", "finger5-2", "finger5-3"), "each knuckles", -25, 20, 65, ("curl3", 0.9)),
    Angle("spread1", ("finger2-1",), "palm", -12, 0, 12),
    Angle("spread2", ("finger4-1",), "palm", -8, 0, 8, ("spread1", -0.7)),
    Angle("spread3", ("finger5-1",), "palm", -12, 0, 12, ("spread2", 0.8)),
    Angle("thumb_curl", ("finger1-2", "finger1-3"), "each thumb", -20, 10, 50, ("curl1", 0.5)),
    Angle("thumb_swing", ("finger1-1",), "palm", -20, 0, 25),
    Angle("thumb_lift", ("finger1-1",), "thumb", -20, 0, 20),
)

#: Correlation between the left and the right side.
LEFT_WITH_RIGHT = 0.35


def random_poses(body: VirtualBody, count: int, rng: np.random.Generator) -> Floats:
    """Random poses, (count, bones, 3, 3), every joint within its limits; most stand, some lean or lie."""
    trunk, left, right = random_angles(count, rng)
    tilt = about(unit(rng.standard_normal((count, 3))), np.radians(rng.exponential(20, count)))
    return posed(
        body, trunk, left, right, tilt @ about(np.tile([0.0, 1, 0], (count, 1)), rng.uniform(-np.pi, np.pi, count))
    )


def random_angles(count: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Angles of random poses in degrees: of `TRUNK` (count, angles), and of `LIMBS + HANDS` for left and right."""
    trunk = _angles(TRUNK, rng.standard_normal((count, len(TRUNK))))
    angles = LIMBS + HANDS
    both = rng.standard_normal((count, len(angles)))
    sides = []
    for _ in range(2):
        own = rng.standard_normal((count, len(angles)))
        sides.append(_angles(angles, np.sqrt(LEFT_WITH_RIGHT) * both + np.sqrt(1 - LEFT_WITH_RIGHT) * own))
    return trunk, sides[0], sides[1]


def posed(body: VirtualBody, trunk: Floats, left: Floats, right: Floats, root: Floats) -> Floats:
    """Poses (N, bones, 3, 3) from angles as `random_angles` gives them, and the turn of the root (N, 3, 3)."""
    local = np.broadcast_to(np.eye(3), (len(trunk), len(body.bones), 3, 3)).copy()
    _turn(body, local, TRUNK, trunk, mirrored=False)
    _turn(body, local, LIMBS + HANDS, left, mirrored=False)
    _turn(body, local, LIMBS + HANDS, right, mirrored=True)
    local[:, 0] = root
    return global_rotations(body, local)


def with_random_hands(body: VirtualBody, poses: Floats, rng: np.random.Generator) -> Floats:
    """The same poses, (N, bones, 3, 3), with fingers relaxed or curled at random."""
    local = local_rotations(body, poses)
    for mirrored in (False, True):
        values = _angles(HANDS, rng.standard_normal((len(poses), len(HANDS))))
        fingers = [
            bone for bone, name in enumerate(body.bones) if name.startswith("finger") and name.endswith("LR"[mirrored])
        ]
        local[:, fingers] = np.eye(3)
        _turn(body, local, HANDS, values, mirrored)
    return global_rotations(body, local)


def joint_angles(count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Angles, (count,) in degrees by name, as random poses draw them for one side and the trunk."""
    angles = TRUNK + LIMBS + HANDS
    return dict(
        zip(
            (angle.name for angle in angles),
            _angles(angles, rng.standard_normal((count, len(angles)))).T,
            strict=True,
        )
    )


def global_rotations(body: VirtualBody, local: Floats) -> Floats:
    """Poses from rotations relative to the parent bone, (N, bones, 3, 3)."""
    turned = local.copy()
    for bone, parent in enumerate(body.parents):
        if parent >= 0:
            turned[:, bone] = turned[:, parent] @ local[:, bone]
    return turned


def local_rotations(body: VirtualBody, poses: Floats) -> Floats:
    """Rotations relative to the parent bone, (N, bones, 3, 3); the inverse of `global_rotations`."""
    local = np.swapaxes(poses[:, body.parents], -1, -2) @ poses
    local[:, 0] = poses[:, 0]
    return local


def _angles(table: tuple[Angle, ...], normal: Floats) -> Floats:
    """Angles (N, angles), degrees, from normal numbers: triangular between limits, correlated as told."""
    position = {angle.name: column for column, angle in enumerate(table)}
    normal = normal.copy()
    for column, angle in enumerate(table):
        leader, closely = angle.follows
        if leader:
            normal[:, column] = closely * normal[:, position[leader]] + np.sqrt(1 - closely**2) * normal[:, column]
    share = need("scipy.special", "body").ndtr(normal)
    low, usual, high = np.array([(angle.low, angle.usual, angle.high) for angle in table]).T
    rising = low + np.sqrt(share * (high - low) * (usual - low))
    falling = high - np.sqrt((1 - share) * (high - low) * (high - usual))
    return np.where(share * (high - low) < usual - low, rising, falling)


def _turn(body: VirtualBody, local: Floats, table: tuple[Angle, ...], degrees: Floats, mirrored: bool) -> None:
    """Apply angles (N, angles) to the bones of one side, in the order of the table, in place."""
    axes = _axes(body)
    mirror = np.diag([-1.0, 1, 1])
    for column, angle in enumerate(table):
        each = angle.axis.startswith("each ")
        turn = about(
            np.broadcast_to(axes[angle.axis.removeprefix("each ")], (len(local), 3)),
            np.radians(degrees[:, column]) / (1 if each else len(angle.bones)),
        )
        for name in angle.bones:
            sided = f"{name}.{'LR'[mirrored]}" if f"{name}.L" in body.bones else name
            bone = body.bones.index(sided)
            local[:, bone] = local[:, bone] @ (mirror @ turn @ mirror if mirrored else turn)


@lru_cache(maxsize=4)
def _axes(body: VirtualBody) -> dict[str, Floats]:
    """Axes of the angles in the reference pose, left side: positive bends, lifts or turns outwards."""
    heads = {bone: body.reference_heads[index] for index, bone in enumerate(body.bones)}
    upper_arm = unit(heads["lowerarm01.L"] - heads["upperarm01.L"])
    forearm = unit(heads["wrist.L"] - heads["lowerarm01.L"])
    hand = frame(heads["finger3-1.L"] - heads["wrist.L"], heads["finger2-1.L"] - heads["finger5-1.L"])
    thumb = unit(heads["finger1-3.L"] - heads["finger1-2.L"])
    plain = {
        f"{sign}{name}": (1 if sign == "+" else -1) * np.eye(3)[k] for k, name in enumerate("xyz") for sign in "+-"
    }
    return plain | {
        "thigh": unit(heads["upperleg01.L"] - heads["lowerleg01.L"]),
        "upper arm": upper_arm,
        "elbow": unit(np.cross(upper_arm, forearm)),
        "forearm": forearm,
        "knuckles": -hand[:, 1],
        "palm": hand[:, 2],
        # The thumb curls towards the little finger's root.
        "thumb": unit(np.cross(thumb, heads["finger5-1.L"] - heads["finger1-2.L"])),
    }
