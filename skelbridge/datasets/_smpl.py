"""Joints of SMPL-family bodies, from the parameters that datasets ship and the model files that the user has.

The model files come under their own licence from https://smpl.is.tue.mpg.de, https://mano.is.tue.mpg.de and
https://smpl-x.is.tue.mpg.de, and lie in one folder as the package smplx expects them. They are read as data (the
package itself would run their pickles); the package does the kinematics and knows which vertices are landmarks.
Loper et al., SMPL: A Skinned Multi-Person Linear Model, 2015; Romero et al., Embodied Hands, 2017; Pavlakos et al.,
Expressive Body Capture, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError, need
from skelbridge.io.files import damaged
from skelbridge.io.pickles import read_npz, read_pickle
from skelbridge.io.tree import MissingFileError

Array = NDArray[np.float64]
Family = Literal["smpl", "smplh", "smplx"]

#: Joints and vertices of each family, and the page that has its files.
_FAMILIES: dict[str, tuple[int, int, str]] = {
    "smpl": (24, 6890, "https://smpl.is.tue.mpg.de"),
    "smplh": (52, 6890, "https://mano.is.tue.mpg.de"),
    "smplx": (55, 10475, "https://smpl-x.is.tue.mpg.de"),
}

#: Frames that are posed in one go.
_BATCH = 512

#: SMPL-X files of 400 components have the shape's in the first 300; older ones of 20 in the first 10.
_SHAPES_OF_400, _SHAPES_OF_20 = 300, 10


@dataclass(frozen=True, eq=False)
class BodyModel:
    """One model file: a family and a gender.

    rest (J, 3) and rest_shape (J, 3, B): joints at rest, and what each shape component does to them, metres.
    landmarks (P, 3), landmarks_shape (P, 3, B), landmarks_pose (P, 3, 9 (J - 1)), weights (P, J): the same of the
    vertices that count as landmarks, with the pose's corrections; bary (L, 3): how the last 3 L of them make L points.
    hands: mean (45,) and components (45, 45) of the left and the right hand's pose; None in a file without.
    """

    family: Family
    path: Path
    parents: NDArray[np.int64]
    rest: Array
    rest_shape: Array
    landmarks: Array
    landmarks_shape: Array
    landmarks_pose: Array
    weights: Array
    bary: Array
    hands: tuple[tuple[Array, Array], ...] | None

    @classmethod
    def load(cls, models: Path | None, family: Family, gender: str, reader: str) -> BodyModel:
        """The model file of a gender ("male", "female", "neutral") in the user's folder of models.

        Raises MissingFileError with the file, where to get it and where to put it; FileFormatError if it is damaged.
        """
        path = _model_file(models, family, gender, reader)
        return _loaded(path, path.stat().st_mtime_ns, family)

    @classmethod
    def read(cls, path: Path, family: Family) -> BodyModel:
        """The model in a file. Raises FileFormatError if it is damaged, or a model of another family."""
        data = _content(path)
        joints, vertices, _ = _FAMILIES[family]
        shapes = _array(path, data, "shapedirs", (vertices, 3, None))
        template = _array(path, data, "v_template", (vertices, 3))
        regressor = _array(path, data, "J_regressor", (joints, vertices))
        posedirs = _array(path, data, "posedirs", (vertices, 3, 9 * (joints - 1)))
        weights = _array(path, data, "weights", (vertices, joints))
        tree = _array(path, data, "kintree_table", (2, joints))
        parents = np.array([-1, *tree[0, 1:]]).astype(np.int64)
        if (parents[1:] >= np.arange(1, joints)).any() or (parents[1:] < 0).any():
            raise damaged(path, "kintree_table", expected="parents before their children", got=parents)
        picked, bary = _picked(path, data, family, vertices)
        return cls(
            family, path, parents,
            rest=regressor @ template, rest_shape=np.tensordot(regressor, shapes, 1),
            landmarks=template[picked], landmarks_shape=shapes[picked], landmarks_pose=posedirs[picked],
            weights=weights[picked], bary=bary, hands=_hands(path, data),
        )  # fmt: skip

    @property
    def shapes(self) -> int:
        """How many shape components the file has, those of expression not counted."""
        count = self.rest_shape.shape[-1]
        return (_SHAPES_OF_400 if count >= 400 else min(_SHAPES_OF_20, count)) if self.family == "smplx" else count

    def joints(
        self,
        pose: ArrayLike,
        betas: ArrayLike,
        transl: ArrayLike | None = None,
        *,
        expression: ArrayLike | None = None,
        landmarks: bool = False,
    ) -> Array:
        """The joints of F frames, (F, J, 3) metres; with `landmarks` also the 21 vertices and, for SMPL-X, 51 points of
        the face that the package's models give after them.

        pose (F, 3 J): axis-angle of every joint, radians, hands without their mean. betas (F, B) or (B,): the shape; B
        at most that of the file. transl (F, 3): metres. expression (F, E).

        Raises InputError for other shapes, and for more components than the file has.
        """
        frames = len(np.asarray(pose))
        pose = _shaped("pose", pose, (frames, 3 * len(self.parents)))
        moved = np.zeros((frames, 3)) if transl is None else _shaped("transl", transl, (frames, 3))
        components = self._components(frames, betas, expression)
        found = [
            self._posed(pose[rows], components[rows], landmarks)
            for rows in (slice(start, start + _BATCH) for start in range(0, frames, _BATCH))
        ]
        count = len(self.parents) + (len(self.landmarks) - 2 * len(self.bary) if landmarks else 0)
        return np.concatenate([np.empty((0, count, 3)), *found]) + moved[:, None]

    def hand_pose(self, left: ArrayLike, right: ArrayLike) -> Array:
        """The axis-angles of both hands, (F, 90), from the first principal components of their poses, (F, C) each.

        The mean hand is added ("flat_hand_mean = False"). Raises FileFormatError where the file has no hands.
        """
        if self.hands is None:
            raise damaged(self.path, "", expected="hands_meanl, hands_componentsl and those of the right hand")
        parts = []
        for coefficients, (mean, components) in zip((left, right), self.hands, strict=True):
            given = np.asarray(coefficients, float)
            if given.ndim != 2 or given.shape[1] > len(components):
                raise InputError("components of a hand", expected=f"(F, up to {len(components)})", got=given.shape)
            parts.append(given @ components[: given.shape[1]] + mean)
        return np.concatenate(parts, axis=1)

    def _components(self, frames: int, betas: ArrayLike, expression: ArrayLike | None) -> Array:
        """Shape and expression of every frame on the file's components, (F, B)."""
        found = np.zeros((frames, self.rest_shape.shape[-1]))
        shape = np.asarray(betas, float)
        shape = np.broadcast_to(shape, (frames, shape.shape[-1])) if shape.ndim == 1 else shape
        for what, values, start, end in (
            ("betas", shape, 0, self.shapes),
            ("expression", np.zeros((frames, 0)) if expression is None else expression, self.shapes, found.shape[1]),
        ):
            given = np.asarray(values, float)
            if given.ndim != 2 or len(given) != frames or given.shape[1] > end - start:
                raise InputError(
                    f"{what} for {self.path}", expected=f"({frames}, up to {end - start})", got=given.shape
                )
            found[:, start : start + given.shape[1]] = given
        return found

    def _posed(self, pose: Array, components: Array, landmarks: bool) -> Array:
        torch, lbs = need("torch", "smpl"), need("smplx.lbs", "smpl")
        count, joints = len(pose), len(self.parents)
        turns = lbs.batch_rodrigues(torch.from_numpy(np.ascontiguousarray(pose).reshape(-1, 3)))
        turns = turns.reshape(count, joints, 3, 3)
        rest = torch.from_numpy(self.rest + np.einsum("fb,jkb->fjk", components, self.rest_shape, optimize=True))
        placed, moves = lbs.batch_rigid_transform(turns, rest, torch.from_numpy(self.parents), dtype=rest.dtype)
        if not landmarks:
            return np.asarray(placed.numpy(), float)
        bent = (turns[:, 1:].numpy() - np.eye(3)).reshape(count, -1)
        points = self.landmarks + np.einsum("fb,pkb->fpk", components, self.landmarks_shape, optimize=True)
        points = points + np.einsum("fm,pkm->fpk", bent, self.landmarks_pose, optimize=True)
        mixed = np.einsum("pj,fjrc->fprc", self.weights, moves.numpy(), optimize=True)
        points = np.einsum("fprc,fpc->fpr", mixed[..., :3, :3], points) + mixed[..., :3, 3]
        corners = points[:, len(self.landmarks) - 3 * len(self.bary) :].reshape(count, -1, 3, 3)
        face = np.einsum("flcx,lc->flx", corners, self.bary)
        vertices = points[:, : len(self.landmarks) - 3 * len(self.bary)]
        return np.concatenate([placed.numpy(), vertices, face], axis=1)


@lru_cache(maxsize=8)
def _loaded(path: Path, changed: int, family: Family) -> BodyModel:
    """Models are read once for many sequences; what is kept of one is small."""
    return BodyModel.read(path, family)


def smpl_gender(word: object, path: Path, place: str) -> str:
    """ "male", "female" or "neutral" from the words that datasets use (m, female, b'male' ...)."""
    text = word.decode("latin1") if isinstance(word, bytes) else str(word)
    for gender in ("male", "female", "neutral"):
        if text.strip().lower() in (gender, gender[0]):
            return gender
    raise damaged(path, place, expected="male, female or neutral", got=text)


def _model_file(models: Path | None, family: Family, gender: str, reader: str) -> Path:
    stem = f"{family}/{family.upper()}_{gender.upper()}"
    names = [f"{stem}.npz", f"{stem}.pkl", f"{family}/{gender}/model.npz"]
    folder = Path("MODELS") if models is None else Path(models)
    for name in names if models is not None else ():
        if (folder / name).is_file():
            return folder / name
    raise MissingFileError(
        f"{reader} needs the {family.upper()} model of gender {gender}, {folder / names[0]} (or .pkl)",
        got="no folder of models" if models is None else "no such file",
        mend=f"Get it from {_FAMILIES[family][2]} (free registration), put it there, and say --models {folder}.",
    )


def _content(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        content = read_npz(stream, path) if path.suffix == ".npz" else read_pickle(stream, path)
    if not isinstance(content, dict):
        raise damaged(path, "", expected="a model: names and arrays", got=type(content).__name__)
    return content


def _array(path: Path, data: dict[str, Any], name: str, shape: tuple[int | None, ...]) -> Array:
    """An array of the model, checked: as many axes, each of that length where one is given."""
    value = data.get(name)
    if isinstance(value, np.ndarray) and value.dtype == object and value.shape == ():
        value = value.item()  # what np.savez makes of a sparse matrix
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise damaged(path, name, expected=f"numbers of shape {shape}", got=type(value).__name__)
    fits = value.ndim == len(shape) and all(want in (None, has) for want, has in zip(shape, value.shape, strict=False))
    if not fits or not np.isfinite(value).all():
        raise damaged(path, name, expected=f"finite numbers of shape {shape}", got=value.shape)
    return value.astype(float)


def _picked(path: Path, data: dict[str, Any], family: Family, vertices: int) -> tuple[NDArray[np.int64], Array]:
    """The vertices that are landmarks: 21 by themselves, then three for each point of the face, with their parts."""
    selector = need("smplx.vertex_joint_selector", "smpl").VertexJointSelector
    ids = need("smplx.vertex_ids", "smpl").vertex_ids["smplx" if family == "smplx" else "smplh"]
    alone = selector(vertex_ids=ids).extra_joints_idxs.numpy().astype(np.int64)
    if family != "smplx":
        return alone, np.empty((0, 3))
    faces = _array(path, data, "f", (None, 3)).astype(np.int64)
    which = _array(path, data, "lmk_faces_idx", (51,)).astype(np.int64)
    if which.min() < 0 or which.max() >= len(faces) or faces.min() < 0 or faces.max() >= vertices:
        raise damaged(path, "lmk_faces_idx, f", expected="faces and vertices that exist", got="others")
    return np.concatenate([alone, faces[which].ravel()]), _array(path, data, "lmk_bary_coords", (51, 3))


def _hands(path: Path, data: dict[str, Any]) -> tuple[tuple[Array, Array], ...] | None:
    if "hands_meanl" not in data:
        return None
    return tuple(
        (_array(path, data, f"hands_mean{side}", (45,)), _array(path, data, f"hands_components{side}", (45, 45)))
        for side in "lr"
    )


def _shaped(what: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, float)
    if array.shape != shape:
        raise InputError(f"{what} of a body model", expected=f"shape {shape}", got=array.shape)
    return array
