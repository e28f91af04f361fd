"""The protocols of benchmarks: which joints, which root, which measures, averaged over what.

>>> from skelbridge.evaluate.protocols import protocol
>>> print(protocol("3dpw").evaluate(predicted, truth))

They are data, in `registry/protocols.toml`; what a benchmark asks to be done to poses first is here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelbridge.errors import CardError, InputError, UnknownNameError, nearest
from skelbridge.evaluate.metrics import Average, PoseMetrics, evaluate
from skelbridge.landmarks import read_toml, registry_dir
from skelbridge.skeletons import Skeleton, skeleton

Array = NDArray[np.float64]

#: MuPoTS-3D: a prediction is of a person if joints lie nearer than this, along the picture's rows and columns, pixels.
MATCHED = 40.0
#: ... of these joints of its official order: all of the 14 that count but the first, the top of the head.
MATCHED_JOINTS = tuple(range(1, 14))


class Measures(BaseModel):
    """Some measures, on the joints that they are taken of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: tuple[str, ...] = Field(min_length=1, description="names of skelbridge.evaluate.metrics")
    joints: tuple[str, ...] = Field((), description="the joints that count; none: all of the format")


class Protocol(BaseModel):
    """How predictions on a benchmark are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    dataset: str = Field(description="id of its card")
    data: str = Field(description="which part of it, and which truth")
    format: str = Field(description="id of the skeleton format")
    root: tuple[str, ...] = Field(min_length=1, description="the joint, or joints whose mean, is moved to zero")
    measures: tuple[Measures, ...] = Field(min_length=1)
    truth: Literal["metric", "universal"] = Field("metric", description="at true size, or at the height of one person")
    rescaled: bool = Field(False, description="whether predicted bones get the lengths of the true ones first")
    average: Average = Field("poses", description="over all poses, or over sequences after the poses of each")
    people: Literal["given", "matched"] = Field("given", description="whether predictions must find their people")
    source: str
    notes: str = ""

    def evaluate(self, predicted: ArrayLike, truth: ArrayLike, groups: ArrayLike | None = None) -> PoseMetrics:
        """The protocol's measures of predicted poses (N, J, 3) beside the true ones, both mm.

        groups: (N,), the sequence or person of each pose; needed where measures are averaged over sequences. Matching
        of people comes before: `match_people`.
        """
        P, T = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
        if self.rescaled:
            P = rescale_bones(P, T, self.format, self.root[0])
        parts = [
            evaluate(P, T, self.format, each.metrics, root=self.root, joints=each.joints or None, groups=groups,
                     average=self.average)
            for each in self.measures
        ]  # fmt: skip
        found = parts[0]
        for part in parts[1:]:
            found = found | part
        return found


@lru_cache
def protocols() -> dict[str, Protocol]:
    """All protocols by id; CardError if the registry's file is wrong."""
    path = registry_dir() / "protocols.toml"
    try:
        cards = [Protocol.model_validate(card) for card in read_toml(path)["protocols"]]
        for card in cards:
            for name in {*card.root, *(joint for each in card.measures for joint in each.joints)}:
                skeleton(card.format).index(name)
    except (ValidationError, KeyError, UnknownNameError) as error:
        raise CardError(f"the protocols of {path}", got=error) from error
    return {card.id: card for card in cards}


def protocol(name: str) -> Protocol:
    """A protocol by id; UnknownNameError for another."""
    if name not in protocols():
        close = nearest(name, protocols()) or list(protocols())
        raise UnknownNameError(f"there is no protocol {name!r}", expected=f"one of {', '.join(close)}")
    return protocols()[name]


def rescale_bones(predicted: Array, truth: Array, format: str | Path | Skeleton, root: str) -> Array:
    """Predicted poses (..., J, 3) with the true poses' bone lengths: directions stay, and so does the root.

    Bones are the format's edges, from the root outwards; InputError if they don't reach each joint in one way.
    """
    result = np.array(predicted, dtype=np.float64)
    for parent, joint in _outwards(skeleton(format), root):
        bone = predicted[..., joint, :] - predicted[..., parent, :]
        wanted = np.linalg.norm(truth[..., joint, :] - truth[..., parent, :], axis=-1, keepdims=True)
        had = np.linalg.norm(bone, axis=-1, keepdims=True)
        result[..., joint, :] = result[..., parent, :] + bone * (wanted / np.maximum(had, 1e-9))
    return result


def _outwards(card: Skeleton, root: str) -> list[tuple[int, int]]:
    """Edges as (nearer to the root, farther), nearest first."""
    bones, reached = [], [card.index(root)]
    for joint in reached:  # grows
        ends = [sum(edge) - joint for edge in card.edge_index.tolist() if joint in edge]
        bones += [(joint, end) for end in ends if end not in reached]
        reached += [end for end in ends if end not in reached]
    if len(reached) < len(card) or len(card.edges) != len(card) - 1:
        raise InputError(f"the bones of {card}", expected=f"one way from {root} to every joint", got="none or several")
    return bones


def match_people(
    predicted: ArrayLike,
    truth: ArrayLike,
    joints: tuple[int, ...] = MATCHED_JOINTS,
    tolerance: float = MATCHED,
) -> NDArray[np.intp]:
    """For each true person of a picture the place of their prediction, -1 where there is none: the rule of MuPoTS-3D.

    predicted (P, J, 2) and truth (T, J, 2) in pixels. In the order of the truth each takes, of the predictions that are
    left, the one with most joints whose columns and rows are both nearer than the tolerance, if it has any; the first
    of several.
    """
    P, T = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    result = np.full(len(T), -1, dtype=np.intp)
    if not len(P):
        return result
    left = np.ones(len(P), dtype=bool)
    for person, pose in enumerate(T):
        off = np.abs(P[:, list(joints)] - pose[list(joints)]).max(axis=-1)
        near = np.where(left, (off < tolerance).sum(axis=1), 0)
        if near.max() > 0:
            result[person] = near.argmax()
            left[result[person]] = False
    return result
