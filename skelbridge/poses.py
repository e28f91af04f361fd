"""Poses: points with their skeleton, confidence, units and frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError, need
from skelbridge.skeletons import Skeleton, formats, skeleton

if TYPE_CHECKING:
    import xarray

Units = Literal["mm", "cm", "m", "inch", "px", "unknown"]

#: Millimetres in one unit of length.
MILLIMETRES: Mapping[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}

#: Poses looked at, evenly spread, when an array is tested for looking like x, y, score.
SAMPLED = 1000


def check_points(points: NDArray[Any], skeleton: Skeleton, what: str = "points", *, finite: bool = False) -> None:
    """Raise InputError unless `points` can be poses of `skeleton`: floats of shape (..., joints, 2 or 3).

    Refused as well is an array whose three columns look like x, y, score (judged on at most 1,000 poses, so
    that the test costs nothing on long input). NaN means missing and is fine; infinities are looked for, in
    the whole array, only with `finite=True`.
    """
    if not np.issubdtype(points.dtype, np.floating):
        raise InputError(
            what,
            expected="real floats",
            got=f"dtype {points.dtype}",
            mend=f"Convert it: {what}.astype(float).",
        )
    if points.ndim < 2 or points.shape[-2] != len(skeleton):
        raise InputError(
            what,
            expected=f"shape (..., {len(skeleton)}, 2 or 3) for {skeleton}",
            got=f"shape {points.shape}",
            mend=_mend_joint_count(points.shape, skeleton),
        )
    if points.shape[-1] not in (2, 3):
        mend = "Pass the score as confidence=, shape (..., joints)." if points.shape[-1] == 4 else None
        raise InputError(what, expected="2 or 3 coordinates in the last axis", got=points.shape[-1], mend=mend)
    if looks_like_scores(points):
        raise InputError(
            f"the third column of {what}",
            expected="z coordinates",
            got="what looks like x, y, score",
            mend=f"Pass {what}[..., :2] as points and {what}[..., 2] as confidence=.",
        )
    if finite and np.isinf(points).any():
        *frame, joint, _ = np.argwhere(np.isinf(points))[0]
        at = f" of pose {', '.join(map(str, frame))}" if frame else ""
        raise InputError(
            f"{what}, joint {skeleton.names[joint]!r}{at}",
            expected="finite numbers, or NaN where missing",
            got="an infinity",
        )


def _mend_joint_count(shape: tuple[int, ...], skeleton: Skeleton) -> str:
    """What may have gone wrong when the joint axis does not fit."""
    joints = len(skeleton)
    if len(shape) >= 2 and shape[-1] == joints:
        return "The axes seem swapped: points.swapaxes(-1, -2)."
    if shape and shape[-1] in (2 * joints, 3 * joints):
        return f"The joints seem flattened: points.reshape(*points.shape[:-1], {joints}, {shape[-1] // joints})."
    if len(shape) < 2:
        return "The last two axes are joints and coordinates."
    same = [card.id for card in formats() if len(card) == shape[-2]]
    return f"Formats with {shape[-2]} joints: {', '.join(same) or 'none known'}."


def looks_like_scores(points: NDArray[Any]) -> bool:
    """Whether (..., joints, 3) looks like x, y, score: x, y spread over tens, the third in [0, 1] or a flag.

    A third column of zeros is a plane, not scores. At most 1,000 poses are looked at.
    """
    if points.shape[-1] != 3 or not points.size:
        return False
    poses = points.reshape(-1, *points.shape[-2:])
    poses = poses[:: max(1, -(-len(poses) // SAMPLED))]
    third = poses[..., 2]
    third = third[np.isfinite(third)]
    if not third.size or third.min() < 0 or third.max() > 2 or not third.any():
        return False
    if third.max() > 1 and not np.isin(third, (0, 1, 2)).all():
        return False
    seen = poses[np.isfinite(poses[..., :2]).all(axis=-1)][:, :2]
    return bool(len(seen) and np.ptp(seen, axis=0).max() > 20)


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses in one skeleton format.

    points: (..., joints, 2 or 3), NaN where missing. Leading axes are free; two are frames and people.
    skeleton: the format; a name is looked up.
    confidence: (..., joints) in [0, 1], or None.
    units: of the points; "px" for image coordinates, "unknown" where a file does not say.
    fps: frames a second, or None.
    meta: where the poses come from: `source`, `container`, `notes` (what was guessed, filled or dropped) and
        what else a file says.

    Raises InputError for arrays that do not fit the skeleton.
    """

    points: NDArray[Any]
    skeleton: Skeleton
    confidence: NDArray[Any] | None = None
    units: Units = "unknown"
    fps: float | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "skeleton", skeleton(self.skeleton))
        object.__setattr__(self, "points", _as_floats(self.points))
        check_points(self.points, self.skeleton, finite=True)
        if self.confidence is not None:
            object.__setattr__(self, "confidence", _as_floats(self.confidence))
            _check_confidence(self.confidence, self.points.shape[:-1])
        if self.units not in get_args(Units):
            raise InputError("units", expected=f"one of {', '.join(get_args(Units))}", got=repr(self.units))
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise InputError("fps", expected="a positive number or None", got=self.fps)

    def __len__(self) -> int:
        """Length of the first leading axis (frames); 1 for a single pose."""
        return self.points.shape[0] if self.points.ndim > 2 else 1

    def __str__(self) -> str:
        rate = f", {self.fps:g} fps" if self.fps else ""
        return f"Poses {self.points.shape} of {self.skeleton}, {self.units}{rate}"

    @property
    def dims(self) -> int:
        """Number of coordinates, 2 or 3."""
        return int(self.points.shape[-1])

    @property
    def notes(self) -> list[str]:
        """What was guessed, filled or dropped on the way here."""
        return list(self.meta.get("notes", []))

    def joint(self, name: str) -> NDArray[Any]:
        """Points of one joint, (..., dims)."""
        return self.points[..., self.skeleton.index(name), :]

    def frames_and_people(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Points (frames, people, joints, dims) and confidence (frames, people, joints).

        Raises InputError for more than two leading axes.
        """
        lead = self.points.shape[:-2]
        if len(lead) > 2:
            raise InputError("points", expected="frames and people as leading axes", got=f"shape {self.points.shape}")
        full = {0: (1, 1), 1: (*lead, 1), 2: lead}[len(lead)]
        confidence = self.confidence
        if confidence is not None:
            confidence = confidence.reshape(*full, confidence.shape[-1])
        return self.points.reshape(*full, *self.points.shape[-2:]), confidence

    def one_person(self) -> NDArray[Any]:
        """Points (frames, joints, dims); InputError where there are several people."""
        points, _ = self.frames_and_people()
        if points.shape[1] != 1:
            raise InputError(
                "poses",
                expected="one person",
                got=f"{points.shape[1]} people",
                mend="Choose one: points[:, 0].",
            )
        return points[:, 0]

    def with_confidence_threshold(self, threshold: float) -> Poses:
        """The same poses with the points below the threshold missing; without confidence nothing changes."""
        if self.confidence is None:
            return self
        low = self.confidence < threshold
        points = np.where(low[..., None], np.nan, self.points)
        return replace(self, points=points, confidence=np.where(low, 0, self.confidence))

    def in_units(self, units: Units) -> Poses:
        """The same poses in another unit of length; InputError where either is none."""
        if self.units == units:
            return self
        for name in (self.units, units):
            if name not in MILLIMETRES:
                raise InputError(
                    "units",
                    expected=f"one of {', '.join(MILLIMETRES)}",
                    got=repr(name),
                    mend="Say what the numbers are: dataclasses.replace(poses, units=...).",
                )
        return replace(self, points=self.points * (MILLIMETRES[self.units] / MILLIMETRES[units]), units=units)

    def to(self, format: str | Skeleton, **options: Any) -> Poses:
        """Converted into another format; options are those of `skelbridge.convert.Converter`.

        The expected error of every point, (..., joints), is in `meta["expected_error"]`.
        """
        from skelbridge.convert import Converter

        converter = Converter(self.skeleton, format, **options)
        out = converter(self.points, confidence=self.confidence)
        meta = {**self.meta, "converted_from": str(self.skeleton), "expected_error": out.expected_error}
        return replace(self, points=out.points, skeleton=converter.target, confidence=out.confidence, meta=meta)

    def save(self, path: str | Path, **options: Any) -> list[str]:
        """Write to a file, the container chosen by the suffix; returns what the container could not keep."""
        from skelbridge.io import write

        return write(self, path, **options)

    def plot(self, *args: Any, **options: Any) -> Any:
        """A picture of the poses: see `skelbridge.plot.plot_poses`."""
        from skelbridge.plot import plot_poses

        return plot_poses(self, *args, **options)

    def to_xarray(self) -> xarray.Dataset:
        """A poses dataset as the package `movement` has it: position and confidence, by time and individual.

        Needs xarray; where movement is installed, its dimension names are taken (they change with releases).
        """
        xr = need("xarray", "xarray")
        points, confidence = self.frames_and_people()
        time, space, keypoints, individuals = dims = _movement_dims()
        if confidence is None:
            confidence = np.full(points.shape[:-1], np.nan, dtype=np.float32)
        attrs: dict[str, Any] = {"source_software": "skelbridge", "ds_type": "poses"}
        attrs |= {
            "skelbridge_format": str(self.skeleton),
            "skelbridge_units": self.units,
            "time_unit": "frames",
        }
        times: NDArray[Any] = np.arange(len(points))
        if self.fps:
            times = times / self.fps
            attrs |= {"fps": self.fps, "time_unit": "seconds"}
        return xr.Dataset(
            {
                "position": (dims, points.transpose(0, 3, 2, 1)),
                "confidence": ((time, keypoints, individuals), confidence.transpose(0, 2, 1)),
            },
            coords={
                time: times,
                space: list("xyz")[: self.dims],
                keypoints: list(self.skeleton.names),
                individuals: [f"id_{person}" for person in range(points.shape[1])],
            },
            attrs=attrs,
        )

    @classmethod
    def from_xarray(cls, dataset: xarray.Dataset, format: str | Path | Skeleton | None = None) -> Poses:
        """Poses (frames, people, joints, dims) of a `movement` dataset.

        The format is `format`, the one that `to_xarray` noted, or found by the names of the key points.
        """
        from skelbridge.io.named import named_poses

        dims = {str(dim)[:9]: dim for dim in dataset["position"].dims}  # individual(s), keypoint(s)
        order = [dims["time"], dims["individua"], dims["keypoints" if "keypoints" in dims else "keypoint"]]
        points = dataset["position"].transpose(*order, dims["space"]).values
        confidence = dataset["confidence"].transpose(*order).values if "confidence" in dataset else None
        if confidence is not None:
            confidence = None if np.isnan(confidence).all() else np.nan_to_num(confidence.clip(0, 1))
        names = [str(name) for name in dataset[order[2]].values]
        found = named_poses(
            names,
            points,
            source="xarray",
            card=skeleton(format) if format is not None else _noted_format(dataset, names),
            confidence=confidence,
            fps=dataset.attrs.get("fps"),
        )
        return replace(found, units=dataset.attrs.get("skelbridge_units", "unknown"))


def _as_floats(values: ArrayLike) -> NDArray[Any]:
    """An array, whole numbers made float64; what else is no float is left for the check to refuse."""
    array = np.asarray(values)
    return array.astype(np.float64) if np.issubdtype(array.dtype, np.integer) else array


def _check_confidence(confidence: NDArray[Any], shape: tuple[int, ...]) -> None:
    if not np.issubdtype(confidence.dtype, np.floating) or confidence.shape != shape:
        got = f"shape {confidence.shape}, dtype {confidence.dtype}"
        raise InputError("confidence", expected=f"floats of shape {shape}", got=got)
    if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
        wrong = confidence[~((confidence >= 0) & (confidence <= 1))][0]
        raise InputError("confidence", expected="numbers in [0, 1]", got=wrong)


def _movement_dims() -> tuple[str, str, str, str]:
    """Dimension names of the installed `movement`, or those of its release 0.15."""
    try:
        from movement.validators.datasets import ValidPosesInputs
    except ImportError:
        return ("time", "space", "keypoints", "individuals")
    time, space, keypoints, individuals = ValidPosesInputs.DIM_NAMES
    return (time, space, keypoints, individuals)


def _noted_format(dataset: xarray.Dataset, names: list[str]) -> Skeleton | None:
    """The format that `to_xarray` noted, where it is still known and fits."""
    noted = str(dataset.attrs.get("skelbridge_format", ""))
    try:
        found = skeleton(noted)
    except LookupError:
        return None
    return found if list(found.names) == names else None
