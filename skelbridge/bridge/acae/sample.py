"""The poses that a fit works on: checked, gathered from a stream of any length, held out, joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.apply import to_numpy
from skelbridge.errors import InputError

Floats = NDArray[np.float32]

#: Poses that a fit works on at most, drawn evenly from a longer stream, and the memory that they may take.
SAMPLE, SAMPLE_BYTES = 20_000, 2**30
#: Fewer poses than this are refused.
LEAST_POSES = 20


@dataclass(frozen=True)
class Sample:
    """Poses (N, J, 3) mm, NaN where missing, to fit and to judge by, and how many the stream held."""

    fit: Floats
    held_out: Floats
    seen: int


def gather(poses: Any, joints: Joints, *, held_out: float, size: int | None, seed: int) -> Sample:
    """Take at most `size` poses evenly at random from an array (N, J, 3) or a stream of such arrays, in one pass.

    Their order stays that of the stream, and the last `held_out` of them are for judging: with recordings in the order
    of time, or people one after the other, those are stretches or people that the fit has not seen.
    Raises InputError for shapes that do not match, infinities, and too few poses.
    """
    if not 0 <= held_out < 1:
        raise InputError("held_out", expected="a share from 0 to below 1", got=held_out)
    if size is None:
        size = max(min(SAMPLE, SAMPLE_BYTES // (12 * len(joints))), LEAST_POSES)
    if not isinstance(size, int) or size < LEAST_POSES:
        raise InputError("sample", expected=f"a whole number of poses, at least {LEAST_POSES}", got=size)
    kept, keys, places = np.empty((size, len(joints), 3), np.float32), np.empty(size), np.empty(size, np.intp)
    rng, seen = np.random.default_rng(seed), 0
    for block in _blocks(poses, joints):
        key, held = rng.random(len(block)), min(seen, size)
        # The poses with the smallest keys stay, so each is as likely as any other.
        every = np.concatenate([keys[:held], key])
        stays = np.arange(len(every)) if len(every) <= size else np.sort(np.argpartition(every, size)[:size])
        new = stays[stays >= held] - held
        free = np.concatenate([np.setdiff1d(np.arange(held), stays), np.arange(held, size)])[: len(new)]
        kept[free], keys[free], places[free] = block[new], key[new], seen + new
        seen += len(block)
    if seen < LEAST_POSES:
        raise InputError("poses to fit on", expected=f"at least {LEAST_POSES} that are not wholly missing", got=seen)
    in_order = kept[:seen] if seen <= size else kept[np.argsort(places)]
    count = len(in_order) - round(held_out * len(in_order))
    return Sample(in_order[:count], in_order[count:], seen)


def _blocks(poses: Any, joints: Joints) -> Iterator[Floats]:
    """The poses as checked blocks (n, J, 3) float32; a joint without one coordinate is missing, empty poses go."""
    blocks: Any = [poses] if hasattr(poses, "shape") else poses
    if isinstance(blocks, str | Path) or not isinstance(blocks, Iterable):
        got = type(poses).__name__
        raise InputError("poses to fit on", expected="an array (N, joints, 3), or an iterator of such", got=got)
    for block in blocks:
        values = to_numpy(block)
        if values.ndim != 3 or values.shape[1:] != (len(joints), 3) or values.dtype.kind not in "fiu":
            raise InputError(
                "poses to fit on",
                expected=f"numbers of shape (N, {len(joints)}, 3): the joints of {_listed(joints)}, side by side",
                got=f"{values.dtype} of shape {values.shape}",
            )
        for start in range(0, len(values), 1024):
            part = values[start : start + 1024].astype(np.float32, copy=False)
            yield part if np.isfinite(part).all() else _with_gaps(part)


def _with_gaps(poses: Floats) -> Floats:
    """The poses with a joint missing where a coordinate is, without those that are wholly missing."""
    if np.isinf(poses).any():
        raise InputError("poses to fit on", expected="finite numbers, NaN where missing", got="an infinity")
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(poses), axis=-1)
    return np.where(known[..., None], poses, np.float32(np.nan))[known.any(axis=1)]


def _listed(joints: Joints) -> str:
    ids = [str(card) for card in joints.formats]
    return ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")


def coincident(points: Floats, used: NDArray[np.intp], tolerance: float = 1e-5) -> NDArray[np.intp]:
    """For each joint used, (U,), the first at the same place in every pose that is missing in the same ones, (U,).

    Judged on some poses, evenly spread; the tolerance is a share of the poses' extent.
    """
    from scipy.spatial.distance import cdist

    some = points[np.linspace(0, len(points) - 1, min(len(points), 40)).astype(int)][:, used]
    extent = np.nanmax(some) - np.nanmin(some)
    known = ~np.isnan(some[..., :1])
    marked = np.concatenate([np.nan_to_num(some) / extent, known], axis=-1)
    rows = marked.transpose(1, 0, 2).reshape(len(used), -1)
    first = np.empty(len(rows), dtype=np.intp)
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        first[part] = (cdist(rows[part], rows, "chebyshev") <= tolerance).argmax(axis=1)
    return used[first]


def check_known(points: Floats, joints: Joints) -> None:
    """InputError for joints that are never known, or never together with others, and for poses that are all one."""
    known = ~np.isnan(points[..., 0])
    if known.all():
        return
    never = np.flatnonzero(~known.any(axis=0))
    if len(never):
        what = "1 joint is" if len(never) == 1 else f"{len(never)} joints are"
        raise InputError(
            f"{what} missing in every pose", got=", ".join(joints.names[i] for i in never[:5]),
            expected="every joint known in some poses", mend="Leave their formats out.",
        )  # fmt: skip
    together = known.T.astype(np.float32) @ known.astype(np.float32)
    if not together.all():
        i, j = np.argwhere(together == 0)[0]
        raise InputError(
            f"{joints.names[i]} and {joints.names[j]} are never known in the same pose",
            expected="each two joints known together in some poses",
            mend="Fit on poses in which the formats meet; a format that meets only some can be attached later.",
        )
