"""Judging a network by people that no training saw: accuracy in every format, and how far formats disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae import ACAE
from skelbridge.estimator.estimator import Estimator
from skelbridge.estimator.network import PoseNetwork
from skelbridge.evaluate.inconsistency import Disagreement, Inconsistency, inconsistency
from skelbridge.evaluate.metrics import MAIN, evaluate
from skelbridge.skeletons import Skeleton
from skelbridge.store import Store, open_store
from skelbridge.train.sources import Sources

Floats = NDArray[np.float32]
#: Dataset, split, sequence, view, frame and person.
_Key = tuple[str, str, str, str, int, int]

#: What is measured: those of the paper's tables, and the distance from where people really stand.
MEASURES = (*MAIN, "abs_mpjpe")


def validation(network: PoseNetwork, acae: ACAE | None, sources: Sources, limit: int) -> dict[str, float]:
    """MPJPE of each dataset in its own format, mm, on some of the samples to judge by; the mean of them as "mpjpe"."""
    judged = sources.judged
    rows = judged.only(np.linspace(0, len(judged) - 1, min(limit, len(judged))).round().astype(int))
    points = predicted(Estimator(network, sources.joints, acae), rows, sources.data.workers)
    found = own_formats(points, rows, sources)
    return {f"{name}/mpjpe": value["mpjpe"] for name, value in found.items()} | {"mpjpe": mean(found, "mpjpe")}


def judge(estimator: Estimator, acae: ACAE, sources: Sources) -> dict[str, Any]:
    """Everything that is measured of a network, for JSON.

    own: by dataset, against its labels, in its format. everywhere: by format, on the pictures of all datasets, where
    the configuration names their true poses in other formats. inconsistency: between formats on all these pictures, mm,
    beside that of true poses. mean: one number for each measure.
    """
    judged = sources.judged
    points, truth = _in_all_formats(estimator, sources)
    own = own_formats(points[: len(judged)], judged, sources)
    everywhere = {}
    if sources.data.truth is not None:
        for card in sources.joints.formats:
            at = sources.joints.slices[str(card)]
            everywhere[str(card)] = _measured(points[:, at], truth[:, at], card)
    seen = np.isfinite(points).all(axis=(1, 2))
    whole = seen & np.isfinite(truth).all(axis=(1, 2))
    told = _told(inconsistency(points[seen], sources.joints, acae))
    if whole.any():
        floor = _told(inconsistency(truth[whole], sources.joints, acae))
        told |= {f"{name} of true poses": value for name, value in floor.items()}
    found: dict[str, Any] = {"pictures": len(points), "own": own, "everywhere": everywhere, "inconsistency": told}
    means = {f"{part} {m}": mean(found[part], m) for part in ("own", "everywhere") if found[part] for m in MEASURES}
    return found | {"mean": means | {f"inconsistency {name}": value for name, value in told.items()}}


def predicted(estimator: Estimator, store: Store, workers: int = 0) -> Floats:
    """Predictions in all joints for all rows, (N, J, 3) mm in camera space; NaN where a picture is broken."""
    return np.concatenate([points for _, points in estimator.predict_store(store, flip=False, workers=workers)])


def own_formats(points: Floats, store: Store, sources: Sources) -> dict[str, dict[str, float]]:
    """Measures by dataset, in its own format."""
    found = {}
    for name in store.datasets:
        rows = np.flatnonzero(_dataset_of(store) == name)
        samples = store[rows]
        at = sources.joints.slice_of(samples.skeleton)
        groups = samples.text["subject"].tolist()
        found[name] = _measured(points[rows][:, at], samples.points, samples.skeleton, groups)
    return found


def _in_all_formats(estimator: Estimator, sources: Sources) -> tuple[Floats, Floats]:
    """Predictions and true poses (P, J, 3) mm of all judged pictures, those of `sources.judged` first; NaN where a
    picture is broken, or its pose is not known in a format."""
    parts = [sources.judged]
    if sources.data.truth is not None:
        exact = open_store(sources.data.truth)
        known = [str(card) for card in exact.skeletons if str(card) in sources.joints.slices]
        parts += [exact.select(skeleton=name) for name in known]
    rows: dict[_Key, int] = {}
    found, keys = [], [_keys(part) for part in parts]
    for part, own in zip(parts, keys, strict=True):
        new, before = [n for n, key in enumerate(own) if key not in rows], len(rows)
        rows.update({own[n]: before + count for count, n in enumerate(new)})
        if new:
            found.append(predicted(estimator, part.only(new), sources.data.workers))
    points = np.concatenate(found)
    truth = np.full_like(points, np.nan)
    for part, own in zip(parts, keys, strict=True):
        places = iter(own)
        for samples in part.blocks():
            at = sources.joints.slices[str(samples.skeleton)]
            truth[[rows[next(places)] for _ in range(len(samples))], at] = samples.points
    return points, truth


def _keys(store: Store) -> list[_Key]:
    """What tells people in pictures apart, in whatever format they are labelled."""
    found, dataset = [], iter(_dataset_of(store))
    for samples in store.blocks():
        words = (samples.text[name].tolist() for name in ("split", "sequence", "view"))
        found += [(str(next(dataset)), *each) for each in
                  zip(*words, samples.frame.tolist(), samples.person.tolist(), strict=True)]  # fmt: skip
    return found


def _measured(points: Floats, truth: Floats, card: Skeleton, groups: Sequence[str] | None = None) -> dict[str, float]:
    score = evaluate(points, truth, card, MEASURES, groups=groups)
    return {measure: float(score[measure]) for measure in MEASURES}


def _told(apart: Inconsistency) -> dict[str, float]:
    """An inconsistency's numbers, mm."""
    parts: dict[str, Disagreement | None] = {"reconstruction": apart.reconstruction, "conversion": apart.conversion}
    return {
        f"{name}{words}": float(getattr(part, which).value)
        for name, part in parts.items()
        if part is not None
        for which, words in (("whole", ""), ("across", ", across the image"), ("depth", ", in depth"))
    }


def mean(found: Mapping[str, Mapping[str, float]], measure: str) -> float:
    """The mean of a measure over datasets or formats."""
    return float(np.mean([values[measure] for values in found.values()])) if found else float("nan")


def _dataset_of(store: Store) -> NDArray[np.str_]:
    """The dataset of each row, (N,)."""
    return np.concatenate([np.full(len(piece), piece.shard.dataset) for piece in store.pieces])
