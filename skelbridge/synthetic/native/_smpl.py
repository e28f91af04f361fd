"""Stand-in SMPL, SMPL-H and SMPL-X models: made-up bodies in the files that the package `smplx` loads.

Shapes, keys and file names are those of the true models; every number in them is invented here, around one frame of the
sample clip. Lengths are metres, y is up, z forward, x to the body's left.

The forward pass (`posed`) is written from the papers, apart from the package: Loper et al., "SMPL: A Skinned
Multi-Person Linear Model", SIGGRAPH Asia 2015, equations 2 to 10, and Pavlakos et al., "Expressive Body Capture",
CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import write_pickle
from skelbridge.synthetic.scene import Floats, Scene, virtual_scene

Kind = Literal["smpl", "smplh", "smplx"]
GENDERS = ("neutral", "male", "female")

#: Joints that turn, vertices, faces, and columns of the shape space of each kind.
_JOINTS: Mapping[Kind, str] = {"smpl": "smpl_24", "smplh": "smplh_52", "smplx": "smplx_55"}
_SIZES = {"smpl": (6890, 13776, 10), "smplh": (6890, 13776, 16), "smplx": (10475, 20908, 400)}
#: How many of SMPL-X's columns are shape; the expressions follow them.
_SHAPES = 300
#: Vertices that the package `smplx` adds to the joints: nose, eyes and ears (right first), toes and heels, fingertips.
_PICKED = {
    "smplh": (332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787,
              2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133),
    "smplx": (9120, 9929, 9448, 616, 6, 5770, 5780, 8846, 8463, 8474, 8635,
              5361, 4933, 5058, 5169, 5286, 8079, 7669, 7794, 7905, 8022),
}  # fmt: skip
_PICKED["smpl"] = _PICKED["smplh"]
#: Genders differ in build: factors along x, y, z.
_BUILD = {"neutral": (1.0, 1.0, 1.0), "male": (1.05, 1.01, 1.02), "female": (0.97, 0.98, 1.01)}
#: Where the template has its pelvis: the translation of a body is not where its pelvis is.
_PELVIS = np.array([0.002, -0.23, 0.03])
#: How much larger the body is for one unit of the first shape number.
_GROWTH = 0.1
#: Where a face landmark lies in its triangle.
_BARYCENTRIC = np.array([0.5, 0.3, 0.2])


@dataclass(frozen=True, eq=False)
class BodyModel:
    """A stand-in model: what its file holds. `parents` is that of the joints, -1 for the root."""

    kind: Kind
    gender: str
    arrays: Mapping[str, Any]
    parents: NDArray[np.intp]

    def rest_joints(self, betas: ArrayLike) -> Floats:
        """The joints of a shape in the zero pose, (J, 3) m."""
        return self._joint_rows @ self._shaped(betas)

    @property
    def _joint_rows(self) -> Floats:
        return self.arrays["J_regressor"].astype(float)

    def _shaped(self, betas: ArrayLike, expression: ArrayLike = ()) -> Floats:
        shapes, faces = np.asarray(betas, float).ravel(), np.asarray(expression, float).ravel()
        dirs = self.arrays["shapedirs"]
        made = self.arrays["v_template"] + dirs[..., : len(shapes)].astype(float) @ shapes
        return made + dirs[..., _SHAPES : _SHAPES + len(faces)].astype(float) @ faces if len(faces) else made


@cache
def body_model(kind: Kind, gender: str) -> BodyModel:
    """The stand-in of a kind for `neutral`, `male` or `female`."""
    card = skeleton(_JOINTS[kind])
    joints, extras = _rest(kind)
    joints, extras = joints * _BUILD[gender], extras * _BUILD[gender]
    parents = np.full(len(card), -1)
    for parent, child in card.edge_index:
        parents[child] = parent
    rng = np.random.default_rng([len(card), GENDERS.index(gender)])
    template, part, joint_rows = _mesh(kind, joints, extras, rng)
    vertices, faces, _ = _SIZES[kind]
    arrays: dict[str, Any] = {
        "v_template": template,
        "f": ((np.arange(faces)[:, None] + np.arange(3)) % vertices).astype(np.uint32),
        "J_regressor": joint_rows,
        "weights": _weights(part, parents, rng),
        "kintree_table": np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(len(card))]).astype(np.uint32),
        "shapedirs": _shapes(kind, part, joints, rng),
        "posedirs": _corrections(part, len(card), rng),
    }
    if kind != "smpl":
        arrays |= _hands(rng)
    if kind == "smplx":
        arrays |= _face_landmarks()
    return BodyModel(kind, gender, arrays, parents)


def write_models(folder: Path, which: Mapping[Kind, Sequence[str]] | None = None) -> None:
    """Write the model files below a folder, as `smplx.create(folder, kind)` looks for them; SMPL-H as .npz.

    which: the genders of each kind; all of them by default.
    """
    for kind, genders in (which or dict.fromkeys(_JOINTS, GENDERS)).items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for gender in genders:
            arrays, name = dict(body_model(kind, gender).arrays), f"{kind.upper()}_{gender.upper()}"
            if kind == "smpl":
                _write_pickle(folder / kind / f"{name}.pkl", arrays)
            else:
                np.savez_compressed(folder / kind / f"{name}.npz", **arrays)


def posed(
    model: BodyModel, betas: ArrayLike, pose: ArrayLike, translation: ArrayLike = (0, 0, 0), expression: ArrayLike = ()
) -> Floats:
    """What the package `smplx` gives as joints: those that turn, 21 vertices and, of SMPL-X, 51 face landmarks, in m.

    betas (B,); pose (F, J, 3): axis and angle of every joint, the mean of the hands included; translation (F, 3);
    expression (E,). Returns (F, 45, 3) for SMPL, (F, 73, 3) for SMPL-H, (F, 127, 3) for SMPL-X.
    """
    turns = _rotations(np.asarray(pose, float))
    shaped = model._shaped(betas, expression)
    rest = model._joint_rows @ shaped
    used = np.array(_PICKED[model.kind])
    if model.kind == "smplx":
        used = np.concatenate([used, model.arrays["f"][model.arrays["lmk_faces_idx"]].ravel()])
    features = (turns[:, 1:] - np.eye(3)).reshape(len(turns), -1)
    surface = shaped[used] + np.einsum("vcp,fp->fvc", model.arrays["posedirs"][used].astype(float), features)
    turned, heads = turns.copy(), np.tile(rest, (len(turns), 1, 1))
    for joint, parent in enumerate(model.parents[1:], start=1):
        turned[:, joint] = turned[:, parent] @ turns[:, joint]
        heads[:, joint] = heads[:, parent] + np.einsum("fab,b->fa", turned[:, parent], rest[joint] - rest[parent])
    moved = np.einsum("fjab,fvjb->fvja", turned, surface[:, :, None] - rest) + heads[:, None]
    surface = np.einsum("vj,fvja->fva", model.arrays["weights"][used].astype(float), moved)
    picked = len(_PICKED[model.kind])
    face = surface[:, picked:].reshape(len(turns), -1, 3, 3)
    landmarks = np.einsum("flva,v->fla", face, _BARYCENTRIC)
    points = np.concatenate([heads, surface[:, :picked], landmarks], axis=1)
    return points + np.asarray(translation, float).reshape(-1, 1, 3)


@dataclass(frozen=True, eq=False)
class Act:
    """What a model does over time: betas (10,), pose (F, J, 3), translation (F, 3) m; points (F, P, 3) m as `posed`."""

    model: BodyModel
    betas: Floats
    pose: Floats
    translation: Floats
    points: Floats


def act(kind: Kind, gender: str, scene: Scene, person: int = 0) -> Act:
    """A model that does what a person of the scene does."""
    model = body_model(kind, gender)
    betas, pose, translation = follow(model, scene.joints(_JOINTS[kind])[:, person] / 1000, seed=person)
    return Act(model, betas, pose, translation, posed(model, betas, pose, translation))


def follow(model: BodyModel, joints: Floats, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """A shape and poses of a model that bring its joints close to `joints` (F, J, 3) m: betas (10,), pose (F, J, 3),
    translation (F, 3).

    Each joint turns so that its children lie best where they should (Kabsch), else with its parent. The shape numbers
    after the first, which makes the body tall, are random.
    """
    rng = np.random.default_rng(seed)
    betas = np.append(0.0, rng.normal(0, 0.4, 9))
    length = [_bones(model.parents, model.rest_joints(betas + step * np.eye(10)[0])) for step in (0, 1)]
    betas[0] = (_bones(model.parents, joints) - length[0]) / (length[1] - length[0])
    rest = model.rest_joints(betas)
    turned = np.tile(np.eye(3), (len(joints), len(rest), 1, 1))
    turns = turned.copy()
    for joint, parent in enumerate(model.parents):
        before = turned[:, parent] if parent >= 0 else np.tile(np.eye(3), (len(joints), 1, 1))
        children = np.flatnonzero(model.parents == joint)
        wanted, bones = joints[:, children] - joints[:, [joint]], rest[children] - rest[joint]
        stay = 0.01 * max((bones**2).sum(), 1e-6) if joint else 1e-9
        turned[:, joint] = _nearest_rotation(np.einsum("fca,cb->fab", wanted, bones) + stay * before)
        turns[:, joint] = np.swapaxes(before, -1, -2) @ turned[:, joint]
    return betas, _axis_angles(turns), joints[:, 0] - rest[0]


def hand_pose(model: BodyModel, side: Literal["l", "r"], coefficients: ArrayLike) -> Floats:
    """Poses of a hand's 15 joints, (F, 15, 3), from principal components (F, C) about the mean of the hands."""
    numbers = np.asarray(coefficients, float)
    flat = model.arrays[f"hands_mean{side}"] + numbers @ model.arrays[f"hands_components{side}"][: numbers.shape[1]]
    return flat.reshape(-1, 15, 3)


def _bones(parents: NDArray[np.intp], joints: Floats) -> float:
    """Summed length of the bones from joint to joint, the mean over frames."""
    bones = joints[..., 1:, :] - joints[..., parents[1:], :]
    return float(np.linalg.norm(bones, axis=-1).sum(axis=-1).mean())


def _nearest_rotation(matrices: Floats) -> Floats:
    first, _, last = np.linalg.svd(matrices)
    sign = np.linalg.det(first @ last)
    first[..., 2] *= sign[..., None]
    return first @ last


def _rotations(axis_angles: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3): exp of the cross-product matrix (Rodrigues)."""
    angle = np.linalg.norm(axis_angles, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(axis_angles, -1, 0)
    none = np.zeros_like(x)
    cross = np.stack([none, -z, y, z, none, -x, -y, x, none], axis=-1).reshape(*x.shape, 3, 3)
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + first * cross + second * cross @ cross


def _axis_angles(rotations: Floats) -> Floats:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec().reshape(rotations.shape[:-1])


@cache
def _rest(kind: Kind) -> tuple[Floats, Floats]:
    """The joints (J, 3) and the other points (21 or 72, 3) of the resting body, m."""
    scene = virtual_scene(1, 1, seed=3)
    full = scene.joints("smplx_127")[0, 0] / 1000
    joints = full[:55] if kind == "smplx" else scene.joints(_JOINTS[kind])[0, 0] / 1000
    extras = full[55:] if kind == "smplx" else full[55:76]
    across = joints[1] - joints[2]  # from the right hip to the left one
    angle = np.arctan2(across[2], across[0])
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return (joints - joints[0]) @ turn.T + _PELVIS, (extras - joints[0]) @ turn.T + _PELVIS


def _mesh(
    kind: Kind, joints: Floats, extras: Floats, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.intp], NDArray[np.float32]]:
    """The template (V, 3), the joint that each vertex goes with (V,) and the joints as sums of vertices (J, V).

    Points lie in blobs about the joints; those that the package picks lie where the picked points should, and the
    triangles of the face landmarks, which are the last vertices, about them.
    """
    count = _SIZES[kind][0]
    part = np.sort(np.arange(count) % len(joints))
    template = joints[part] + np.round(rng.normal(0, 0.03, (count, 3)), 3)
    rows = np.zeros((len(joints), count), np.float32)
    picked, face = np.array(_PICKED[kind]), np.arange(count - 3 * (len(extras) - 21), count)
    for joint in range(len(joints)):
        ring = np.setdiff1d(np.flatnonzero(part == joint), [*picked, *face])[:6]
        template[ring] = joints[joint] + 0.02 * np.concatenate([np.eye(3), -np.eye(3)])
        rows[joint, ring] = 1 / 6
    nearest = np.linalg.norm(extras[:, None] - joints, axis=-1).argmin(axis=1)
    template[picked], part[picked] = extras[:21], nearest[:21]
    corners = 0.004 * np.array([[0, 1, 0], [1, -1, 0], [-1, -1, 0.0]])
    corners -= _BARYCENTRIC @ corners
    template[face] = (extras[21:, None] + corners).reshape(-1, 3)
    part[face] = np.repeat(nearest[21:], 3)
    return template, part, rows


def _weights(part: NDArray[np.intp], parents: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
    """Skinning weights (V, J): a vertex goes with its joint, and to a share with that joint's parent."""
    weights = np.zeros((len(part), len(parents)), np.float32)
    share = rng.choice([0.0, 0.25, 0.5], len(part))
    weights[np.arange(len(part)), np.maximum(parents[part], 0)] += share
    weights[np.arange(len(part)), part] += 1 - share
    return weights


def _shapes(kind: Kind, part: NDArray[np.intp], joints: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Shape directions (V, 3, S): the first makes the body tall, others move each joint with what is about it."""
    moves = np.zeros((len(joints), 3, _SIZES[kind][2]))
    moves[..., 0] = _GROWTH * (joints - joints[0])
    moves[..., 1:16] = rng.normal(0, 0.003, moves[..., 1:16].shape)
    if kind == "smplx":
        head = [skeleton("smplx_55").index(name) for name in ("head", "jaw", "left_eyeball", "right_eyeball")]
        moves[head, :, _SHAPES : _SHAPES + 10] = rng.normal(0, 0.002, (len(head), 3, 10))
    return moves.astype(np.float32)[part]


def _corrections(part: NDArray[np.intp], joints: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Pose corrections (V, 3, 9 (J - 1)): what goes with a joint shifts a little as that joint turns."""
    moves = np.zeros((joints, 3, joints, 9), np.float16)
    moves[np.arange(joints), :, np.arange(joints)] = rng.normal(0, 0.004, (joints, 3, 9))
    return moves[:, :, 1:].reshape(joints, 3, -1)[part]


def _hands(rng: np.random.Generator) -> dict[str, Any]:
    """Mean poses and principal components of the hands."""
    arrays: dict[str, Any] = {}
    for side in "lr":
        arrays[f"hands_mean{side}"] = rng.normal(0, 0.15, 45)
        arrays[f"hands_components{side}"] = np.linalg.qr(rng.normal(size=(45, 45)))[0]
        arrays[f"hands_coeffs{side}"] = rng.normal(size=(10, 45))
    return arrays


def _face_landmarks() -> dict[str, Any]:
    """The triangles of the face landmarks: the corners are the last 153 vertices, three by three."""
    first = _SIZES["smplx"][0] - 3 * 51
    fixed = first + 3 * np.arange(51)
    return {
        "lmk_faces_idx": fixed,
        "lmk_bary_coords": np.tile(_BARYCENTRIC, (51, 1)),
        "dynamic_lmk_faces_idx": np.tile(fixed[:17], (79, 1)),
        "dynamic_lmk_bary_coords": np.tile(_BARYCENTRIC, (79, 17, 1)),
    }


def _write_pickle(path: Path, arrays: dict[str, Any]) -> None:
    """As SMPL's own files, written by Python 2, less the package chumpy: the joint regressor is a sparse matrix."""
    from scipy.sparse import csc_matrix

    rows = csc_matrix(arrays["J_regressor"].astype(float))
    content = arrays | {"J_regressor": rows, "bs_style": "lbs", "bs_type": "lrotmin", "J": rows @ arrays["v_template"]}
    write_pickle(path, content, python2=True)
