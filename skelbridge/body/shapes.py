"""Body shapes of a population: mostly adults, some children and elders, limbs that vary as people's do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from skelbridge.body.model import LOCAL_CHANGES, PHENOTYPES, Shapes, VirtualBody, anny_model
from skelbridge.body.rotations import Floats
from skelbridge.errors import InputError, need

CHILDREN, ELDERS = 0.15, 0.10
#: Ages in years, and the statures in mm that are let through.
AGES = {"child": (3.0, 16.0), "adult": (18.0, 60.0), "elder": (65.0, 90.0)}
STATURES = {"child": (850.0, 1900.0), "adult": (1450.0, 2050.0), "elder": (1400.0, 1950.0)}

#: How narrow the other phenotypes lie about the middle: parameter of a symmetric beta distribution.
BELLS = {"muscle": 2.5, "weight": 2.5, "proportions": 6.0}

#: Standard deviation of the local changes; chosen so that segment lengths relative to stature vary by 3 to
#: 4 %.
SPREAD = {
    "measure-upperarm-length-incr": 0.15, "measure-lowerarm-length-incr": 0.10,
    "measure-upperleg-height-incr": 0.07, "measure-lowerleg-height-incr": 0.16,
    "measure-shoulder-dist-incr": 0.15, "measure-neck-height-incr": 0.10,
    "torso-scale-vert-incr": 0.22, "torso-scale-horiz-incr": 0.10, "hip-scale-horiz-incr": 0.12,
    "l-hand-scale-incr": 0.12, "l-hand-fingers-length-incr": 0.12, "l-foot-scale-incr": 0.12,
}  # fmt: skip
OTHER_SPREAD = 0.25

#: Faces: how many of the facial actions are under way at a time, and how strong they are on average.
ACTIVE_ACTIONS, ACTION_STRENGTH = 0.15, 0.3


def sample_shapes(body: VirtualBody, count: int, rng: np.random.Generator, faces: bool = True) -> Shapes:
    """`count` random shapes; 15 % children (3 to 16 years), 10 % elders (65 to 90), the rest adults.

    Height follows anny's distribution given age and sex (calibrated to the WHO's growth data); weight,
    muscle and proportions are bell-shaped about the middle. Statures outside the range of the age group are
    drawn again. `faces=False` leaves faces at rest.
    """
    if count < 1:
        raise InputError("count", expected="at least 1 body", got=count)
    kinds = rng.choice(list(AGES), size=count, p=[CHILDREN, 1 - CHILDREN - ELDERS, ELDERS])
    years = np.array([AGES[kind] for kind in kinds])
    allowed = np.array([STATURES[kind] for kind in kinds])
    phenotypes, changes = np.empty((count, len(PHENOTYPES))), np.empty((count, len(LOCAL_CHANGES)))
    at_rest = np.zeros((count, len(body.faces)))
    wanting = np.arange(count)
    while len(wanting):
        phenotypes[wanting] = _phenotypes(rng.uniform(*years[wanting].T), rng)
        changes[wanting] = _local_changes(len(wanting), rng)
        stature = body.stature(Shapes(phenotypes[wanting], changes[wanting], at_rest[wanting]))
        wanting = wanting[(stature < allowed[wanting, 0]) | (stature > allowed[wanting, 1])]
    return Shapes(phenotypes, changes, _faces(body, count, rng) if faces else at_rest)


def _phenotypes(years: Floats, rng: np.random.Generator) -> Floats:
    """Phenotypes, (N, 6), of people of an age in years (N,)."""
    torch, calibrated = need("torch", "body"), _calibrated()
    age = calibrated.morphological_age_mapping.morphological_to_anny_age(torch.as_tensor(years))
    female = rng.random(len(years)) < 0.5
    heights = []
    for sex in ("boys", "girls"):
        distribution = getattr(calibrated, f"{sex}_conditional_height_distribution")
        heights.append(rng.beta(*(parameter.numpy() for parameter in distribution.get_distribution_params(age))))
    leaning = 0.5 * rng.beta(1, 4, len(years))  # in anny men are at 0 and women at 1
    values = {name: rng.beta(bell, bell, len(years)) for name, bell in BELLS.items()}
    values |= {
        "age": age.numpy(),
        "gender": np.where(female, 1 - leaning, leaning),
        "height": np.where(female, heights[1], heights[0]),
    }
    return np.stack([values[name] for name in PHENOTYPES], axis=1)


@lru_cache(maxsize=1)
def _calibrated() -> Any:
    """anny's distributions of the phenotypes given age."""
    return need("anny.shape_distribution", "body").SimpleShapeDistribution(anny_model())


def _local_changes(count: int, rng: np.random.Generator) -> Floats:
    spread = np.array([SPREAD.get(name, OTHER_SPREAD) for name in LOCAL_CHANGES])
    return np.clip(spread * rng.standard_normal((count, len(LOCAL_CHANGES))), -1, 1)


def _faces(body: VirtualBody, count: int, rng: np.random.Generator) -> Floats:
    """Facial actions, (count, actions): a few weak ones at a time, mostly the same on both sides."""
    size = (count, len(body.faces))
    strength = rng.exponential(ACTION_STRENGTH, size) * (rng.random(size) < ACTIVE_ACTIONS)
    alike = rng.random(count) < 0.7
    for column, name in enumerate(body.faces):
        if name.endswith("Left") and (partner := name.removesuffix("Left") + "Right") in body.faces:
            right = body.faces.index(partner)
            strength[:, right] = np.where(alike, strength[:, column], strength[:, right])
    return np.clip(strength, 0, 1)
