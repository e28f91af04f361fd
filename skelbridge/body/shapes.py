"""Body shapes of a population: mostly adults, some children and elders, of the lengths that surveys find."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.measures import FITTED, drawn, fitted, measured
from skelbridge.body.model import LOCAL_CHANGES, PHENOTYPES, Shapes, VirtualBody, anny_model
from skelbridge.body.rotations import Floats
from skelbridge.errors import InputError, need

CHILDREN, ELDERS = 0.15, 0.10
#: Ages in years.
AGES = {"child": (3.0, 16.0), "adult": (18.0, 60.0), "elder": (65.0, 90.0)}
GROWN_UP = 25.0

#: What the old have lost of their height, all of it in the trunk: (age, women mm, men mm) after Sorkin, Muller and
#: Andres 1999 (Am. J. Epidemiol. 150).
LOSS = ((30.0, 0.0, 0.0), (70.0, 50.0, 30.0), (80.0, 80.0, 50.0))

#: How narrow the other phenotypes lie about the middle: parameter of a symmetric beta distribution.
BELLS = {"muscle": 2.5, "weight": 2.5, "proportions": 6.0}

#: Standard deviation of the local changes that no measure sets (see `measures.CONTROLS`).
SPREAD = {
    "measure-shoulder-dist-incr": 0.15, "measure-neck-height-incr": 0.10, "torso-scale-horiz-incr": 0.10,
    "hip-scale-horiz-incr": 0.12, "l-hand-fingers-length-incr": 0.12,
}  # fmt: skip
OTHER_SPREAD = 0.25

#: Faces: how many of the facial actions are under way at a time, and how strong they are on average.
ACTIVE_ACTIONS, ACTION_STRENGTH = 0.15, 0.3


def sample_shapes(body: VirtualBody, count: int, rng: np.random.Generator, faces: bool = True) -> Shapes:
    """`count` random shapes, half of them women; 15 % children (3 to 16 years), 10 % elders (65 to 90), else adults.

    Adults have the lengths of published surveys (see `measures.MEASURES`), elders are adults who have lost height, and
    children have the statures of anny's growth model (calibrated to the WHO's data), its growth of the proportions and
    the adults' scatter. Weight, muscle and breadths are bell-shaped about the middle. `faces=False` leaves faces at
    rest.
    """
    if count < 1:
        raise InputError("count", expected="at least 1 body", got=count)
    kinds = rng.choice(list(AGES), size=count, p=[CHILDREN, 1 - CHILDREN - ELDERS, ELDERS])
    years = rng.uniform(*np.array([AGES[kind] for kind in kinds]).T)
    female = rng.random(count) < 0.5
    at_rest = np.zeros((count, len(body.faces)))
    shapes = Shapes(_phenotypes(years, female, rng), _local_changes(count, rng), at_rest)
    lengths = drawn(female, rng)
    child, elder = kinds == "child", kinds == "elder"
    lengths[elder] -= _lost(years[elder], female[elder])
    if child.any():
        lengths[child] = _of_children(shapes[child], lengths[child])
    shapes = fitted(shapes, lengths)
    return replace(shapes, face=_faces(body, count, rng)) if faces else shapes


def _lost(years: Floats, female: NDArray[np.bool_]) -> Floats:
    """What elders have lost of stature and sitting height, (N, `FITTED`) mm."""
    ages, women, men = np.array(LOSS).T
    lost = np.where(female, np.interp(years, ages, women), np.interp(years, ages, men))
    of_trunk = np.array([measure.name in ("stature", "sitting height") for measure in FITTED])
    return lost[:, None] * of_trunk


def _of_children(children: Shapes, lengths: Floats) -> Floats:
    """Lengths of children, (N, `FITTED`) mm, who would have the proportions of `lengths` when grown up."""
    plain = replace(children, local_changes=np.zeros_like(children.local_changes))
    adult = replace(plain, phenotypes=plain.phenotypes.copy())
    adult.phenotypes[:, PHENOTYPES.index("age")] = _anny_age(np.array([GROWN_UP]))
    now, then = (measured(shapes)[:, : len(FITTED)] for shapes in (plain, adult))
    return now * (lengths / lengths[:, :1]) / (then / then[:, :1])


def _phenotypes(years: Floats, female: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Phenotypes, (N, 6), of people of an age in years (N,)."""
    age, heights = _anny_age(years), []
    torch = need("torch", "body")
    for sex in ("boys", "girls"):
        distribution = getattr(_calibrated(), f"{sex}_conditional_height_distribution")
        parameters = distribution.get_distribution_params(torch.as_tensor(age))
        heights.append(rng.beta(*(parameter.numpy() for parameter in parameters)))
    leaning = 0.5 * rng.beta(1, 4, len(years))  # in anny men are at 0 and women at 1
    values = {name: rng.beta(bell, bell, len(years)) for name, bell in BELLS.items()}
    values |= {
        "age": age,
        "gender": np.where(female, 1 - leaning, leaning),
        "height": np.where(female, heights[1], heights[0]),
    }
    return np.stack([values[name] for name in PHENOTYPES], axis=1)


def _anny_age(years: Floats) -> Floats:
    """anny's age parameter, (N,), of ages in years (N,)."""
    mapping = _calibrated().morphological_age_mapping
    return mapping.morphological_to_anny_age(need("torch", "body").as_tensor(years)).numpy()


def years_of(shapes: Shapes) -> Floats:
    """Ages in years, (N,)."""
    ages = need("torch", "body").as_tensor(shapes.phenotypes[:, PHENOTYPES.index("age")])
    return _calibrated().morphological_age_mapping.anny_to_morphological_age(ages).numpy()


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
