"""What anthropometrists measure on people, measured on the virtual body; and the body that measures as asked.

The figures are published percentiles of adults. Each measure is taken on the standing body as the sum that equals its
published definition; where the definition is a seated one, the seated sum is put together from what does not change by
sitting down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.model import LOCAL_CHANGES, PHENOTYPES, Shapes, VirtualBody, middle_shapes
from skelbridge.body.rotations import Floats
from skelbridge.landmarks import Landmarks, landmarks, mirrored_name

HUSTON = "Huston, Principles of Biomechanics (CRC Press 2009), as tabulated in the University of Rhode Island's sheet"
PHEASANT = "Pheasant, Bodyspace (2nd ed., Taylor & Francis 1996), British adults aged 19 to 65"
GORDON = "Gordon et al., 1988 Anthropometric Survey of US Army Personnel (Natick TR-89/044)"

#: From the acromion to the underside of the bent elbow over shoulder joint to elbow joint: the joints lie at 10.4 % and
#: 95.7 % of acromion to radiale (de Leva 1996, J. Biomech. 29, table 1), and shoulder-elbow length is 1.081 times
#: acromion-radiale length (women 1.080, men 1.083, Gordon et al.). The virtual body's acromion is no measure of this:
#: its shoulder joint lies some 15 mm lower than people's.
UPPER_ARM = 1.081 / (0.957 - 0.104)

#: The 95th percentile of a standard normal distribution.
P95 = 1.645


@dataclass(frozen=True)
class Measure:
    """A measure of the body and its published 5th, 50th and 95th percentiles, mm.

    name: what stands in brackets tells a second source of the same measure. how: the sum that is taken on the standing
    body. control: the shape parameter that sets it ("" for a measure that is only looked at). with_stature: its
    correlation with stature; with_limbs: how much of the rest it shares with the other limbs (a trunk that is long for
    the stature goes with short limbs). Both are rounded values that are typical of adult surveys.
    """

    name: str
    women: tuple[float, float, float]
    men: tuple[float, float, float]
    source: str
    how: str
    control: str = ""
    with_stature: float = 1.0
    with_limbs: float = 0.0

    def mean(self, female: NDArray[np.bool_]) -> Floats:
        """Mean (N,) of women and men; the mean of the percentiles, which one misprint cannot move far."""
        return np.where(female, np.mean(self.women), np.mean(self.men))

    def spread(self, female: NDArray[np.bool_]) -> Floats:
        """Standard deviation (N,) of women and men."""
        return np.where(female, np.ptp(self.women), np.ptp(self.men)) / (2 * P95)


MEASURES = (
    Measure("stature", (1518, 1618, 1724), (1649, 1759, 1869), HUSTON, "height of the mesh", "height"),
    Measure(
        "sitting height", (797, 853, 911), (859, 927, 975), HUSTON,
        "vertex to crotch, vertically", "torso-scale-vert-incr", 0.75, -0.75,
    ),
    Measure(
        "buttock to knee", (531, 578, 628), (558, 605, 660), HUSTON,
        "buttock to hip joint (depth) + hip joint to knee joint + knee joint to tibial tuberosity (depth)",
        "measure-upperleg-height-incr", 0.8, 0.6,
    ),
    Measure(
        "knee height", (461, 502, 546), (506, 553, 599), HUSTON,
        "sole to knee joint (height) + knee joint to tibial tuberosity (depth)",
        "measure-lowerleg-height-incr", 0.85, 0.6,
    ),
    Measure(
        "shoulder to elbow", (306, 332, 358), (333, 361, 389), HUSTON,
        f"{UPPER_ARM:.3f} x shoulder joint to elbow joint",
        "measure-upperarm-length-incr", 0.8, 0.6,
    ),
    Measure(
        "elbow to fingertip", (406, 443, 483), (451, 483, 517), "women Gordon et al.; men Huston",
        "olecranon to elbow joint + elbow joint to wrist joint + hand",
        "measure-lowerarm-length-incr", 0.8, 0.8,
    ),
    Measure(
        "hand length", (160, 175, 190), (175, 190, 205), PHEASANT,
        "wrist joint to tip of the middle finger, along its joints", "l-hand-scale-incr", 0.7, 0.8,
    ),
    Measure(
        "foot length", (215, 235, 255), (240, 265, 285), PHEASANT,
        "heel to tip of the big toe, horizontally", "l-foot-scale-incr", 0.7, 0.4,
    ),
    # Huston's women (and Pheasant's, of 430 mm) would have forearms of 13.3 % of stature (men 14.9 %; de Leva 1996:
    # 15.2 and 15.4 %).
    Measure("elbow to fingertip (Huston)", (396, 428, 458), (451, 483, 517), HUSTON, "as above"),
    Measure(
        "shoulder breadth, bideltoid", (397, 433, 472), (450, 492, 535), GORDON,
        "between the most lateral points of the deltoids",
    ),
    Measure("shoulder breadth, bideltoid (Pheasant)", (355, 395, 435), (420, 465, 510), PHEASANT, "as above"),
    Measure(
        "shoulder breadth, biacromial", (325, 355, 380), (365, 400, 430), PHEASANT, "between the acromia",
    ),
    Measure(
        "hip breadth, seated", (310, 370, 435), (310, 360, 405), PHEASANT,
        "between the most lateral points of the hips, standing",
    ),
)  # fmt: skip
#: Those that the fit sets; they come first.
FITTED = tuple(measure for measure in MEASURES if measure.control)
#: What the fit may change: one control a measure, and the depth of the hips, which buttock to knee needs as well.
CONTROLS = (*(measure.control for measure in FITTED), "hip-scale-depth-incr")

#: In `fitted`: a measure may be missed by this share of its spread (from 5th to 95th percentile) as easily as height
#: moves by 0.02 from what gives the stature by itself, or a local change by 0.5 from none; stature is firm.
TOLERANCE = 0.1
RELUCTANCE = np.array([0.02**-2 if control == "height" else 0.5**-2 for control in CONTROLS])
FIRM = np.array([100.0 if measure.name == "stature" else 1.0 for measure in FITTED])
#: Rounds of the fit, the step for its slopes, and the stature at which these are taken.
ROUNDS, STEP, STATURE = 2, 0.3, 1700.0

_POINTS = (
    "head_top", "crotch", "left_hip", "left_knee", "left_buttock", "left_tibial_tuberosity", "left_heel_sole",
    "left_shoulder", "left_elbow", "left_olecranon", "left_wrist", "left_middle_mcp", "left_middle_pip",
    "left_middle_dip", "left_middle_tip", "left_heel", "left_big_toe_tip", "left_shoulder_side",
    "left_acromion", "left_trochanter",
)  # fmt: skip
_HEIGHT = PHENOTYPES.index("height")
_HAND = ("left_wrist", "left_middle_mcp", "left_middle_pip", "left_middle_dip", "left_middle_tip")


@lru_cache(maxsize=1)
def _body() -> VirtualBody:
    """The body with the points that measures need."""
    every = landmarks()
    listed = tuple(landmark for landmark in every.listed if landmark.name in _POINTS)
    names = tuple(name for name in every.names if name in _POINTS or mirrored_name(name) in _POINTS)
    mirror = np.array([names.index(mirrored_name(name)) for name in names], dtype=np.intp)
    return VirtualBody(Landmarks(names, mirror, listed))


def measured(shapes: Shapes) -> Floats:
    """`MEASURES` of some shapes, (N, measures) mm."""
    body = _body()
    points, stature = body.measured(np.eye(3), shapes)
    at = {name: points[:, column] for column, name in enumerate(body.points.names)}

    def apart(first: str, second: str) -> Floats:
        return np.linalg.norm(at[first] - at[second], axis=-1)

    def up(above: str, below: str) -> Floats:
        return at[above][:, 1] - at[below][:, 1]

    def ahead(front: str, back: str) -> Floats:
        return at[front][:, 2] - at[back][:, 2]

    knee, olecranon = ahead("left_tibial_tuberosity", "left_knee"), apart("left_elbow", "left_olecranon")
    hand = np.sum([apart(*pair) for pair in pairwise(_HAND)], axis=0)
    columns = {
        "stature": stature,
        "sitting height": up("head_top", "crotch"),
        "buttock to knee": ahead("left_hip", "left_buttock") + apart("left_hip", "left_knee") + knee,
        "knee height": up("left_knee", "left_heel_sole") + knee,
        "shoulder to elbow": UPPER_ARM * apart("left_shoulder", "left_elbow"),
        "elbow to fingertip": olecranon + apart("left_elbow", "left_wrist") + hand,
        "hand length": hand,
        "foot length": np.linalg.norm((at["left_big_toe_tip"] - at["left_heel"])[:, [0, 2]], axis=-1),
        "shoulder breadth, bideltoid": apart("left_shoulder_side", "right_shoulder_side"),
        "shoulder breadth, biacromial": apart("left_acromion", "right_acromion"),
        "hip breadth, seated": apart("left_trochanter", "right_trochanter"),
    }
    return np.stack([columns[measure.name.split(" (")[0]] for measure in MEASURES], axis=1)


def drawn(female: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """`FITTED` of random adults, (N, `FITTED`) mm: normal, of the published mean, spread and correlations."""
    count = len(female)
    tall, long_limbs = rng.standard_normal((2, count, 1))
    with_stature, with_limbs = np.array([(measure.with_stature, measure.with_limbs) for measure in FITTED]).T
    own = rng.standard_normal((count, len(FITTED)))
    rest = with_limbs * long_limbs + np.sqrt(1 - with_limbs**2) * own
    normal = with_stature * tall + np.sqrt(1 - with_stature**2) * rest
    mean, spread = (np.stack([getattr(m, which)(female) for m in FITTED], axis=1) for which in ("mean", "spread"))
    return mean + spread * normal


def fitted(shapes: Shapes, targets: Floats) -> Shapes:
    """Shapes whose height and local changes are set so that they measure `targets`, (N, `FITTED`) mm.

    Least squares by Gauss-Newton with the slopes of the middle adult. Measures that contradict each other (stature is
    all but sitting height, thigh and shank) are missed by a share of their spread each; stature is met.
    """
    slopes = _slopes()
    columns = [LOCAL_CHANGES.index(control) for control in CONTROLS[1:]]
    weights = np.array([(TOLERANCE * np.ptp(measure.women)) ** -2 for measure in FITTED]) * FIRM
    changes = shapes.local_changes.copy()
    changes[:, columns] = 0
    shapes = natural = _of_stature(replace(shapes, local_changes=changes), targets[:, 0])
    for _ in range(ROUNDS):
        found = measured(shapes)[:, : len(FITTED)]
        by_control = np.tile(slopes, (len(found), 1, 1))
        by_control[:, :, 0] *= found[:, :1] / STATURE  # height counts for less in small bodies
        pull = np.swapaxes(by_control, 1, 2) * weights
        controls = np.column_stack([shapes.phenotypes[:, _HEIGHT], shapes.local_changes[:, columns]])
        missing = (pull @ (targets - found)[..., None])[..., 0] - RELUCTANCE * controls
        missing[:, 0] += RELUCTANCE[0] * natural.phenotypes[:, _HEIGHT]
        controls += np.linalg.solve(pull @ by_control + np.diag(RELUCTANCE), missing[..., None])[..., 0]
        phenotypes, changes = shapes.phenotypes.copy(), shapes.local_changes.copy()
        phenotypes[:, _HEIGHT] = np.clip(controls[:, 0], 0, 1)
        changes[:, columns] = np.clip(controls[:, 1:], -1, 1)
        shapes = Shapes(phenotypes, changes, shapes.face)
    return _of_stature(shapes, targets[:, 0])


def mean_adult() -> Shapes:
    """The one adult, half woman and half man, that measures the mean of both sexes."""
    both = [measure.mean(np.array([True, False])).mean() for measure in FITTED]
    return fitted(middle_shapes(1), np.array([both]))


def _of_stature(shapes: Shapes, stature: Floats) -> Shapes:
    """The shapes with the height parameter that gives them a stature, (N,) mm."""
    phenotypes, found = shapes.phenotypes.copy(), measured(shapes)[:, 0]
    phenotypes[:, _HEIGHT] += (stature - found) / (_slopes()[0, 0] * found / STATURE)
    phenotypes[:, _HEIGHT] = np.clip(phenotypes[:, _HEIGHT], 0, 1)
    return replace(shapes, phenotypes=phenotypes)


@lru_cache(maxsize=1)
def _slopes() -> Floats:
    """Millimetres a measure gains for a unit of a control, (`FITTED`, `CONTROLS`), at the middle adult."""
    count = len(CONTROLS)
    shapes = middle_shapes(2 * count)
    for row, name in enumerate(CONTROLS):
        table, names = (shapes.phenotypes, PHENOTYPES) if name in PHENOTYPES else (shapes.local_changes, LOCAL_CHANGES)
        table[[row, count + row], names.index(name)] += [STEP, -STEP]
    found = measured(shapes)[:, : len(FITTED)]
    return (found[:count] - found[count:]).T / (2 * STEP)
