"""Positions as BVH: a hierarchy from the skeleton's edges, bones of constant length, rotations without twist.

Positions do not determine the rotations that BVH wants. Each joint gets the rotation that brings its bones of
the rest pose closest to the points, and of those that do so equally well (a single bone may spin about
itself) the one nearest to its parent's. Where the bones of a joint do not turn as one body, a joint of no
length, `pelvis_to_spine1`, is put before each of them. What constant lengths cannot follow is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import replacing
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton

#: Weight of the parent's rotation beside the bones': small enough to turn none by more than a millionth.
PRIOR = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Tree:
    """The joints to write, parents first, with their points (frames, joints, 3) and rest offsets (joints, 3).

    carried: of the joints of no length that were put in, the joint whose bone each one turns.
    """

    names: list[str]
    parents: list[int]
    points: Floats
    offsets: Floats
    carried: dict[int, int]

    def bones(self, joint: int) -> list[int]:
        """The joints in which the bones that begin at `joint` end."""
        return [self.carried.get(child, child) for child, parent in enumerate(self.parents) if parent == joint]


def write(poses: Poses, path: Path) -> list[str]:
    """Write a BVH file; returns what it could not keep: how far points moved, which were filled or left out.

    Joints that are never seen are left out. A bone that is missing in some frames keeps its rotation relative
    to its parent; a missing root is interpolated over time.
    Raises InputError for 2D points, several people, no frame rate, or no points.
    """
    points = poses.one_person().astype(np.float64)
    if poses.dims != 3 or poses.fps is None or not len(points):
        raise InputError(
            f"poses for {path}",
            expected="3D points and a frame rate",
            got=f"{len(points)} frames, {poses.dims}D, {poses.fps or 'no'} fps",
            mend="Give the rate where the file is read: read(path, fps=120), or --fps 120.",
        )
    order, parents, notes = _tree(poses, points)
    tree = _with_turns([poses.skeleton.names[joint] for joint in order], parents, points[:, order])
    rotations, placed = _fitted(tree)
    table = np.concatenate([placed[:, 0], _euler_zxy(rotations).reshape(len(points), -1)], axis=1)
    lines = [*_hierarchy(tree), "MOTION", f"Frames: {len(table)}"]
    lines.append(f"Frame Time: {1 / poses.fps:.10f}")
    lines += [" ".join(f"{value:.9g}" for value in row) for row in table]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ends = [node for node in range(len(tree.names)) if node not in tree.carried]
    return notes + _residual(tree.points[:, ends], placed[:, ends], poses.units)


def _tree(poses: Poses, points: Floats) -> tuple[list[int], list[int], list[str]]:
    """The seen joints, parents first; the place of each one's parent among them; what was left out."""
    names = poses.skeleton.names
    missing = np.asarray(np.isnan(points).any(axis=-1))
    seen = {joint for joint in range(len(names)) if not missing[:, joint].all()}
    if not seen:
        raise InputError("poses for BVH", expected="points", got="none in any frame")
    above, loose = _walk(poses.skeleton)
    order = [joint for joint in above if joint in seen]
    place = {joint: position for position, joint in enumerate(order)}
    parents = [-1]
    for joint in order[1:]:
        parent = above[joint]
        while parent >= 0 and parent not in seen:  # a bone may lead over a joint that is never seen
            parent = above[parent]
        parents.append(place.get(parent, 0))
    never = [name for joint, name in enumerate(names) if joint not in seen]
    notes = [f"left out, for never seen: {', '.join(never)}"] if never else []
    if loose:
        notes.append(f"hung on the root, for no edge leads there: {', '.join(names[joint] for joint in loose)}")
    return order, parents, notes


def _walk(card: Skeleton) -> tuple[dict[int, int], list[int]]:
    """Joint -> parent on a walk along the edges from the root; and the joints that no edge leads to."""
    near: list[list[int]] = [[] for _ in card.names]
    for a, b in card.edge_index.tolist():
        near[a].append(b)
        near[b].append(a)
    root = card.index(card.root[0]) if card.root else 0
    above: dict[int, int] = {}
    loose: list[int] = []
    for start in [root, *range(len(card))]:
        if start in above:
            continue
        if start != root:
            loose.append(start)
        waiting = [(start, -1 if start == root else root)]
        while waiting:
            joint, parent = waiting.pop()
            if joint not in above:
                above[joint] = parent
                waiting += [(other, joint) for other in reversed(near[joint])]
    return above, loose


def _with_turns(names: list[str], parents: list[int], points: Floats) -> _Tree:
    """The tree with a joint of no length before each bone of a joint whose bones do not turn as one body."""
    apart = {joint for joint in range(len(names)) if _turn_apart(joint, parents, points)}
    new_names: list[str] = []
    new_parents: list[int] = []
    source: list[int] = []
    place: dict[int, int] = {-1: -1}
    carried: dict[int, int] = {}
    for joint, parent in enumerate(parents):
        above = place[parent]
        if parent in apart:
            carried[len(source)] = len(source) + 1
            new_names.append(f"{names[parent]}_to_{names[joint]}")
            new_parents.append(above)
            above = len(source)
            source.append(parent)
        place[joint] = len(source)
        new_names.append(names[joint])
        new_parents.append(above)
        source.append(joint)
    return _Tree(new_names, new_parents, points[:, source], _rest_offsets(new_parents, points[:, source]), carried)


def _turn_apart(joint: int, parents: list[int], points: Floats) -> bool:
    """Whether the far ends of the bones of a joint change their distances by more than a thousandth."""
    ends = points[:, [child for child, parent in enumerate(parents) if parent == joint]]
    apart = np.linalg.norm(ends[:, :, None] - ends[:, None], axis=-1)
    seen = ~np.isnan(apart)
    low, high = (pick(apart, axis=0, where=seen, initial=start) for pick, start in ((np.min, np.inf), (np.max, 0)))
    return bool((high - low > 1e-3 * high).any())


def _rest_offsets(parents: list[int], points: Floats) -> Floats:
    """Bones of median length, in the direction of the first frame that shows them, (joints, 3)."""
    offsets = np.zeros((len(parents), 3))
    for joint, parent in enumerate(parents):
        bone = points[:, joint] - points[:, parent]
        bone = bone[~np.isnan(bone).any(axis=-1)]
        length = np.linalg.norm(bone, axis=-1)
        if parent >= 0 and length.any():
            first = int(np.argmax(length > 0))
            offsets[joint] = bone[first] / length[first] * np.median(length)
    return offsets


def _fitted(tree: _Tree) -> tuple[Floats, Floats]:
    """Local rotations (frames, joints, 3, 3) and the positions they give (frames, joints, 3).

    Of each joint the rotation R maximises trace(R^T H), H being the sum over its bones of (unit vector to the
    point) (unit rest offset)^T, plus PRIOR times the parent's rotation: the orthogonal Procrustes problem
    (Schönemann 1966), solved by singular values with the determinant held at +1.
    """
    points, offsets = tree.points, tree.offsets
    turned = np.empty((*points.shape[:2], 3, 3))
    local = np.empty_like(turned)
    placed = points.copy()
    placed[:, 0] = _interpolated(points[:, 0])
    for joint, parent in enumerate(tree.parents):
        above = turned[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), (len(points), 3, 3))
        if parent >= 0:
            placed[:, joint] = placed[:, parent] + above @ offsets[joint]
        target = PRIOR * above
        for end in tree.bones(joint):
            target = target + _unit(points[:, end] - placed[:, joint])[..., None] * _unit(offsets[end])
        u, _, vt = np.linalg.svd(target)
        u[..., 2] *= np.linalg.det(u @ vt)[..., None]
        turned[:, joint] = u @ vt
        local[:, joint] = np.swapaxes(above, -1, -2) @ turned[:, joint]
    return local, placed


def _interpolated(track: Floats) -> Floats:
    """A track (frames, 3) with its missing frames interpolated, the ends held."""
    seen = ~np.isnan(track).any(axis=-1)
    frames = np.arange(len(track))
    return np.stack([np.interp(frames, frames[seen], axis[seen]) for axis in track.T], axis=-1)


def _unit(vectors: Floats) -> Floats:
    """Vectors (..., 3) of length one; missing or zero ones as zero."""
    vectors = np.nan_to_num(vectors)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _euler_zxy(rotations: Floats) -> Floats:
    """Angles (z, x, y) in degrees of R = Rz Rx Ry, (frames, joints, 3), without jumps over time."""
    r = rotations
    x = np.arcsin(np.clip(r[..., 2, 1], -1, 1))
    locked = np.hypot(r[..., 0, 1], r[..., 1, 1]) < 1e-9  # z and y turn about the same axis: put all into z
    z = np.where(locked, np.arctan2(r[..., 1, 0], r[..., 0, 0]), np.arctan2(-r[..., 0, 1], r[..., 1, 1]))
    y = np.where(locked, 0.0, np.arctan2(-r[..., 2, 0], r[..., 2, 2]))
    return np.degrees(np.unwrap(np.stack([z, x, y], axis=-1), axis=0))


def _hierarchy(tree: _Tree) -> list[str]:
    """The HIERARCHY part; a joint without children ends in an End Site of no length."""
    children: list[list[int]] = [[] for _ in tree.names]
    for joint, parent in enumerate(tree.parents):
        if parent >= 0:
            children[parent].append(joint)
    lines = ["HIERARCHY"]
    waiting: list[tuple[int, int]] = [(0, 0)]  # (joint, depth); -1 closes a brace
    while waiting:
        joint, depth = waiting.pop()
        pad = "  " * depth
        if joint < 0:
            lines.append(pad + "}")
            continue
        rotations = "Zrotation Xrotation Yrotation"
        offset = " ".join(f"{value:.9g}" for value in tree.offsets[joint])
        lines += [
            f"{pad}{'JOINT' if depth else 'ROOT'} {tree.names[joint]}",
            pad + "{",
            f"{pad}  OFFSET {offset}",
        ]
        channels = f"3 {rotations}" if depth else f"6 Xposition Yposition Zposition {rotations}"
        lines.append(f"{pad}  CHANNELS {channels}")
        if not children[joint]:
            lines += [f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET 0 0 0", pad + "  }"]
        waiting += [(-1, depth), *((child, depth + 1) for child in reversed(children[joint]))]
    return lines


def _residual(points: Floats, placed: Floats, units: str) -> list[str]:
    """How far the points moved, and how many were filled in."""
    missing = np.isnan(points).any(axis=-1)
    moved = np.linalg.norm(points - placed, axis=-1)[~missing]
    notes = [f"{int(missing.sum())} missing points filled in"] if missing.any() else []
    if moved.max(initial=0) > 1e-4 * np.nanmax(np.ptp(np.nan_to_num(placed), axis=1), initial=1):
        rms = float(np.sqrt((moved**2).mean()))
        notes.append(f"bones of constant length moved the points by {rms:.3g} {units} (rms), {moved.max():.3g} at most")
    return notes
