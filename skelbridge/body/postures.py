"""Plain postures of daily life: standing, walking, sitting, reaching ..., each varied within the limits of joints."""

from __future__ import annotations

import numpy as np

from skelbridge.body.model import VirtualBody
from skelbridge.body.random_poses import HANDS, LIMBS, TRUNK, Angle, posed, random_angles
from skelbridge.body.rotations import Floats, about, unit

#: Degrees by angle; of the limbs one number for both sides, or left and right. Others as in relaxed standing.
Posture = dict[str, float | tuple[float, float]]

RELAXED: Posture = {
    "spine_bend": 2, "hip_flexion": 3, "knee_flexion": 4, "arm_abduction": -36, "arm_flexion": 2, "elbow_flexion": -20,
}  # fmt: skip
POSTURES: dict[str, Posture] = {
    "stand": {},
    "stand_at_ease": {"hip_flexion": (2, 12), "knee_flexion": (2, 22), "hip_abduction": (2, 8), "spine_side": 4},
    "walk": {"hip_flexion": (28, -12), "knee_flexion": (8, 28), "arm_flexion": (-22, 24), "ankle_flexion": (0, 20)},
    "walk_on": {"hip_flexion": (-8, 30), "knee_flexion": (25, 35), "arm_flexion": (20, -16), "elbow_flexion": 5},
    "run": {"hip_flexion": (60, -14), "knee_flexion": (80, 50), "arm_flexion": (-35, 40), "elbow_flexion": 50,
            "spine_bend": 14, "ankle_flexion": (5, 35)},
    "sit": {"hip_flexion": 84, "knee_flexion": 82, "arm_flexion": 22, "elbow_flexion": 25, "spine_bend": 8},
    "sit_apart": {"hip_flexion": (88, 75), "knee_flexion": (95, 60), "hip_abduction": 20, "arm_flexion": 35,
                  "elbow_flexion": 45, "spine_bend": 22},
    "squat": {"hip_flexion": 102, "knee_flexion": 112, "ankle_flexion": -18, "spine_bend": 25, "arm_flexion": 60},
    "bend": {"hip_flexion": 60, "knee_flexion": 25, "spine_bend": 45, "arm_flexion": 65, "neck_bend": -15},
    "pick_up": {"hip_flexion": (95, 75), "knee_flexion": (90, 100), "spine_bend": 35, "arm_flexion": (80, 30),
                "elbow_flexion": (-30, 20)},
    "lunge": {"hip_flexion": (75, -15), "knee_flexion": (78, 25), "arm_abduction": -5, "ankle_flexion": (0, 25)},
    "reach_up": {"arm_flexion": 120, "arm_abduction": 10, "shoulder_lift": 18, "elbow_flexion": -10, "spine_bend": -8},
    "reach_out": {"arm_flexion": (80, 10), "arm_abduction": (-20, -36), "elbow_flexion": (-25, -15), "spine_turn": -12},
    "arms_out": {"arm_abduction": 42, "elbow_flexion": -30, "hip_abduction": 12},
    "wave": {"arm_abduction": (-36, 75), "elbow_flexion": (-15, 45), "shoulder_lift": (0, 15),
             "arm_rotation": (0, -20)},
    "hands_up": {"arm_abduction": 65, "elbow_flexion": 55, "shoulder_lift": 14},
    "hands_before": {"arm_flexion": 38, "elbow_flexion": 55, "arm_rotation": -25},
    "hands_on_hips": {"arm_abduction": -5, "elbow_flexion": 70, "arm_rotation": -45, "arm_flexion": -12},
    "telephone": {"arm_flexion": (55, 0), "elbow_flexion": (98, -15), "arm_abduction": (-20, -36), "neck_bend": 6},
    "kick": {"hip_flexion": (75, 0), "knee_flexion": (25, 12), "arm_abduction": (5, -5), "spine_bend": -6},
    "one_leg": {"hip_flexion": (70, 2), "knee_flexion": (100, 6), "arm_abduction": 30, "elbow_flexion": -20},
    "carry": {"arm_flexion": 30, "elbow_flexion": 62, "arm_abduction": -30, "spine_bend": -5},
    "look_round": {"spine_turn": 28, "neck_turn": 35, "hip_rotation": (15, -5)},
}  # fmt: skip
#: Those in which one sits on something.
SEATED = ("sit", "sit_apart")
#: How much of the spread of random poses is added to a posture.
SPREAD = 0.3


def postures(body: VirtualBody, count: int, rng: np.random.Generator) -> tuple[Floats, list[str]]:
    """`count` poses (count, bones, 3, 3), each about one of the `POSTURES` or its mirror image, facing anywhere, and
    their names. Every joint stays within its limits."""
    names = [str(name) for name in rng.choice(list(POSTURES), count)]
    trunk, left, right = random_angles(count, rng)
    flip = rng.random(count) < 0.5
    for row, name in enumerate(names):
        sides = (1, 0) if flip[row] else (0, 1)
        posture = {**RELAXED, **POSTURES[name]}
        trunk[row] = _about(TRUNK, trunk[row], posture, 0, mirrored=flip[row])
        left[row] = _about(LIMBS + HANDS, left[row], posture, sides[0])
        right[row] = _about(LIMBS + HANDS, right[row], posture, sides[1])
    lean = about(unit(rng.standard_normal((count, 3)) * [1, 0.2, 1]), np.radians(rng.exponential(3, count)))
    facing = about(np.tile([0.0, 1, 0], (count, 1)), rng.uniform(-np.pi, np.pi, count))
    return posed(body, trunk, left, right, facing @ lean), names


def _about(table: tuple[Angle, ...], drawn: Floats, posture: Posture, side: int, mirrored: bool = False) -> Floats:
    """Angles (angles,) of a posture, with part of what a random pose has beside the usual."""
    found = np.empty(len(table))
    for column, angle in enumerate(table):
        wanted = posture.get(angle.name, angle.usual)
        value = wanted[side] if isinstance(wanted, tuple) else wanted
        if mirrored and angle.name.endswith(("_side", "_turn")):
            value = -value
        share = 1.0 if angle in HANDS else SPREAD
        found[column] = np.clip(value + share * (drawn[column] - angle.usual), angle.low, angle.high)
    return found
