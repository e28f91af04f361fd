"""Judging a network by people that no training saw: accuracy in every format, and how far formats disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae import ACAE
from skelbridge.errors import InputError
from skelbridge.estimator.estimator import Estimator
from skelbridge.estimator.network import PoseNetwork
from skelbridge.evaluate.inconsistency import Disagreement, Inconsistency, inconsistency
from skelbridge.evaluate.metrics import MAIN, evaluate
from skelbridge.skeletons import Skeleton
from skelbridge.store import Store, open_store
from skelbridge.train.sources import Sources

Floats = NDArray[np.float32]

#: What is measured: those of the paper's tables, and the distance from where people really stand.
MEASURES = (*MAIN, "abs_mpjpe")


def validation(network: PoseNetwork, acae: ACAE | None, sources: Sources, limit: int) -> dict[str, float]:
    """MPJPE of each dataset in its own format, mm, on some of the samples to judge by; the mean of them as "mpjpe"."""
    judged = sources.judged
    rows = judged.only(np.linspace(0, len(judged) - 1, min(limit, len(judged))).round().astype(int))
    found = own_formats(predicted(Estimator(network, sources.joints, acae), rows), rows, sources)
    return {f"{name}/mpjpe": value["mpjpe"] for name, value in found.items()} | {"mpjpe": mean(found, "mpjpe")}


def judge(estimator: Estimator, acae: ACAE, sources: Sources) -> dict[str, Any]:
    """Everything that is measured of a network, for JSON.

    own: by dataset, against its labels, in its format. everywhere: by format, against noise-free labels on the pictures
    of all datasets, where the configuration names such. inconsistency: between formats, mm, on the same pictures, else
    on the judged ones. mean: one number for each measure.
    """
    judged = sources.judged
    points = predicted(estimator, judged)
    own = own_formats(points, judged, sources)
    truth: Floats | None = None
    everywhere: dict[str, dict[str, float]] = {}
    if sources.data.truth:
        points, truth, everywhere = _everywhere(estimator, sources)
    known = np.isfinite(points).all(axis=(1, 2))
    apart = inconsistency(points[known], sources.joints, acae, truth=None if truth is None else truth[known])
    told = _told(apart)
    found: dict[str, Any] = {"samples": len(judged), "own": own, "everywhere": everywhere, "inconsistency": told}
    means = {f"{part} {m}": mean(found[part], m) for part in ("own", "everywhere") if found[part] for m in MEASURES}
    return found | {"mean": means | {f"inconsistency {name}": v for name, v in told.items()}}


def predicted(estimator: Estimator, store: Store) -> Floats:
    """Predictions in all joints for all rows, (N, J, 3) mm in camera space; NaN where a picture is broken."""
    return np.concatenate([points for _, points in estimator.predict_store(store, flip=False)]).astype(np.float32)


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


def _everywhere(estimator: Estimator, sources: Sources) -> tuple[Floats, Floats, dict[str, dict[str, float]]]:
    """Predictions (N, J, 3) and true poses in all joints on pictures of all datasets, and measures by format.

    Raises InputError where the stores of true poses do not show the same pictures.
    """
    stores = [open_store(path) for path in sources.data.truth]
    if len({len(store) for store in stores}) > 1:
        raise InputError("data.truth", expected="stores of the same pictures", got=[len(store) for store in stores])
    points, found = predicted(estimator, stores[0]), {}
    truth = np.full_like(points, np.nan)
    for store in stores:
        card, at = store.skeleton, sources.joints.slice_of(store.skeleton)
        truth[:, at] = store[:].points
        found[str(card)] = _measured(points[:, at], truth[:, at], card)
    return points, truth, found


def _measured(points: Floats, truth: Floats, card: Skeleton, groups: Sequence[str] | None = None) -> dict[str, float]:
    score = evaluate(points, truth, card, MEASURES, groups=groups)
    return {measure: float(score[measure]) for measure in MEASURES}


def _told(apart: Inconsistency) -> dict[str, float]:
    """An inconsistency's numbers, mm, with those of true poses."""
    found: dict[str, float] = {}
    for name, each in (("", apart), (" of true poses", apart.floor)):
        for measure in ("reconstruction", "conversion"):
            part: Disagreement | None = getattr(each, measure, None)
            if part is not None:
                found |= {f"{measure}{name}": part.whole.value, f"{measure}{name}, in depth": part.depth.value}
    return found


def mean(found: Mapping[str, Mapping[str, float]], measure: str) -> float:
    """The mean of a measure over datasets or formats."""
    return float(np.mean([values[measure] for values in found.values()])) if found else float("nan")


def _dataset_of(store: Store) -> NDArray[np.str_]:
    """The dataset of each row, (N,)."""
    return np.concatenate([np.full(len(piece), piece.shard.dataset) for piece in store.pieces])
