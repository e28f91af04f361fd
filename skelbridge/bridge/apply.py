"""Applying weights to arrays of poses: frames are grouped by what they miss, and each group is one product.

Works on numpy arrays and torch tensors; with torch the result can be differentiated and stays on its device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skelbridge.errors import InputError

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

#: Frames handled at a time: points and result stay in the processor's cache between the scan and the product.
BLOCK = 2048


def is_torch(points: Any) -> bool:
    """Whether this is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(points, torch.Tensor)


def like(reference: Any, values: NDArray) -> Any:
    """`values` as the kind of array that `reference` is: its dtype, and its device for torch."""
    if is_torch(reference):
        import torch

        return torch.as_tensor(np.ascontiguousarray(values), dtype=reference.dtype, device=reference.device)
    if any(values.strides) and 0 not in values.strides:
        return values.astype(reference.dtype, copy=False)
    row = values[(0,) * (values.ndim - 1)] if values.size else values
    return np.broadcast_to(row.astype(reference.dtype), values.shape)  # stays a view: no memory for a million frames


def to_numpy(points: Any) -> NDArray:
    """The values as a numpy array, detached and on the CPU."""
    return points.detach().cpu().numpy() if is_torch(points) else np.asarray(points)


def kernel(weights: Array, dims: int, dtype: DTypeLike = np.float64) -> NDArray:
    """kron(Wᵀ, I): the matrix that maps flattened sources (S · dims) to flattened targets (T · dims).

    A target with NaN among its weights becomes NaN in all coordinates, whatever the sources are.
    """
    matrix = np.zeros((weights.shape[1], dims, weights.shape[0], dims), dtype)
    for axis in range(dims):
        matrix[:, axis, :, axis] = weights.T
    unknown = np.isnan(weights).any(axis=1)
    if unknown.any():
        matrix[:, :, unknown] = np.nan
    return matrix.reshape(weights.shape[1] * dims, -1)


def product(points: NDArray, matrix: NDArray, out: NDArray) -> None:
    """The bare conversion of complete poses: points (N, S, D) times matrix (S · D, T · D) into out (N, T, D)."""
    np.matmul(points.reshape(len(points), -1), matrix, out=out.reshape(len(out), -1))


def apply_where_complete(points: NDArray, matrix: NDArray, out: NDArray) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Convert the frames in which nothing is missing; the positions of the others, (n,), and their missing_bits.

    points (N, S, D), matrix (S · D, T · D), out (N, T, D) contiguous. A block with a missing point is left whole:
    its frames are grouped by pattern afterwards.
    """
    frames, bits = [np.zeros(0, dtype=np.intp)], [missing_bits(points[:0])]
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        if np.isfinite(block).all():
            product(block, matrix, out[start : start + BLOCK])
        else:
            frames.append(np.arange(start, start + len(block)))
            bits.append(missing_bits(block, start))
    return np.concatenate(frames), np.concatenate(bits)


def missing_bits(points: NDArray, first: int = 0) -> NDArray[np.uint8]:
    """Which coordinates of points (N, S, D) are NaN, as packed bits, (N, bytes).

    Raises InputError for an infinite value; `first` is the position of the first frame, for the message.
    """
    if np.isinf(points).any():
        frame, joint = np.argwhere(np.isinf(points).any(axis=-1))[0]
        raise InputError(
            f"the points hold an infinite value (frame {first + frame}, joint {joint})",
            expected="finite numbers, NaN for a missing joint",
        )
    return np.packbits(np.isnan(points).reshape(len(points), points.shape[1] * points.shape[2]), axis=1)


def group_rows(rows: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Group equal rows of bytes (N, B): the position of one row of each group, (P,), and each row's group, (N,)."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    codes = np.zeros(len(rows), dtype=np.intp)
    for word in padded.view(np.uint64).T:
        found = _ranks(word)
        codes = _ranks(codes * (found.max(initial=0) + 1) + found) if codes.any() else found
    position = np.zeros(codes.max(initial=-1) + 1, dtype=np.intp)
    position[codes] = np.arange(len(codes))
    return position, codes


def _ranks(values: NDArray) -> NDArray[np.intp]:
    """For each value how many distinct smaller ones there are, (N,); faster than np.unique's inverse."""
    order = np.argsort(values)
    sorted_ = values[order]
    ranks = np.zeros(len(values), dtype=np.intp)
    ranks[order[1:]] = np.cumsum(sorted_[1:] != sorted_[:-1])
    return ranks


def apply_groups(
    points: Any,
    frames: NDArray[np.intp],
    codes: NDArray[np.intp],
    missing: Sequence[NDArray],
    matrices: Sequence[NDArray],
    out: Any,
) -> None:
    """Convert frames in groups: frame frames[i] with matrices[codes[i]], ignoring the joints missing[codes[i]].

    points (N, S, D), out (N, T, D), which is written.
    """
    few = np.uint16 if len(matrices) < 2**16 else np.intp  # numpy sorts 16-bit numbers by radix
    order = np.argsort(codes.astype(few), kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(matrices) + 1))
    apply = _torch_applier(points, out) if is_torch(points) else _numpy_applier(points, out)
    for code, matrix in enumerate(matrices):
        members = frames[order[bounds[code] : bounds[code + 1]]]
        for start in range(0, len(members), 4 * BLOCK):
            apply(members[start : start + 4 * BLOCK], missing[code], matrix)


def _numpy_applier(points: NDArray, out: NDArray) -> Callable[..., None]:
    """Gather, multiply, scatter, through two buffers: fresh memory for each group would cost more than the product."""
    joints, dims = points.shape[1:]
    row = np.dtype((np.void, out.itemsize * out.shape[1] * dims))  # rows as single items scatter twice as fast
    flat, flat_out = points.reshape(len(points), -1), out.reshape(len(out), -1).view(row)[:, 0]
    taken = np.empty((4 * BLOCK, joints * dims), points.dtype)
    made = np.empty((4 * BLOCK, out.shape[1] * dims), out.dtype)

    def apply(rows: NDArray[np.intp], missing: NDArray[np.bool_], matrix: NDArray) -> None:
        group, result = taken[: len(rows)], made[: len(rows)]
        np.take(flat, rows, axis=0, out=group, mode="clip")
        for joint in np.flatnonzero(missing):
            group[:, joint * dims : (joint + 1) * dims] = 0
        np.matmul(group, matrix, out=result)
        flat_out[rows] = result.view(row)[:, 0]

    return apply


def _torch_applier(points: torch.Tensor, out: torch.Tensor) -> Callable[..., None]:
    """The same with torch; NaN of joints that cannot be estimated is filled in last, for as a weight it would
    reach the gradient."""
    import torch

    def apply(rows: NDArray[np.intp], missing: NDArray[np.bool_], matrix: NDArray) -> None:
        index = torch.as_tensor(rows, device=points.device)
        absent = torch.as_tensor(missing, device=points.device)[None, :, None]
        group = points[index].masked_fill(absent, 0).reshape(len(rows), -1)
        known = torch.as_tensor(np.nan_to_num(matrix), dtype=points.dtype, device=points.device)
        unknown = torch.as_tensor(np.isnan(matrix).any(axis=0), device=points.device)
        result = (group @ known).masked_fill(unknown, float("nan"))
        out[index] = result.reshape(len(rows), *out.shape[1:])

    return apply
