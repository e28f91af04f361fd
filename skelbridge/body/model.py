"""The virtual body: anny's mesh and bones, reduced to what landmarks need.

Axes: x to the body's left, y up, z forward; millimetres. A pose is one rotation a bone, (bones, 3, 3): how
far the bone is turned, in those axes, from its place in the reference pose (standing, arms half raised,
elbows and fingers slightly bent). The limbs of the reference pose point the same way for every shape;
spine, neck and head keep the carriage that goes with the shape (a stoop with age). The root bone's head is
the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.rotations import Floats, between
from skelbridge.errors import CardError, InputError, nearest, need
from skelbridge.landmarks import Landmark, Landmarks, landmarks

#: The shape parameters that vary; local changes act on both sides alike.
PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
LOCAL_CHANGES = (
    "measure-upperarm-length-incr", "measure-lowerarm-length-incr", "measure-upperleg-height-incr",
    "measure-lowerleg-height-incr", "measure-shoulder-dist-incr", "measure-neck-height-incr",
    "torso-scale-vert-incr", "torso-scale-horiz-incr", "torso-scale-depth-incr",
    "hip-scale-horiz-incr", "hip-scale-depth-incr",
    "head-scale-vert-incr", "head-scale-horiz-incr", "head-scale-depth-incr", "l-hand-scale-incr",
    "l-hand-fingers-length-incr", "l-foot-scale-incr", "nose-scale-vert-incr", "nose-scale-depth-incr",
    "chin-height-incr", "chin-prominent-incr", "mouth-scale-horiz-incr", "mouth-trans-up", "l-eye-trans-out",
    "l-eye-trans-up", "l-ear-scale-incr",
)  # fmt: skip

#: The bones of the back, from the pelvis up.
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")

#: Bones whose direction in the reference pose is the same for all shapes: the first and the last joint of
#: the segment.
SEGMENTS = {
    "upperarm01": ("upperarm01", "lowerarm01"), "upperarm02": ("upperarm01", "lowerarm01"),
    "lowerarm01": ("lowerarm01", "wrist"), "lowerarm02": ("lowerarm01", "wrist"),
    "wrist": ("wrist", "finger3-1"),
    "upperleg01": ("upperleg01", "lowerleg01"), "upperleg02": ("upperleg01", "lowerleg01"),
    "lowerleg01": ("lowerleg01", "foot"), "lowerleg02": ("lowerleg01", "foot"),
    **{f"finger{f}-{k}": (f"finger{f}-{k}", f"finger{f}-{k + 1}") for f in range(1, 6) for k in (1, 2)},
    **{f"finger{f}-3": (f"finger{f}-2", f"finger{f}-3") for f in range(1, 6)},
    **{f"metacarpal{f}": ("wrist", "finger3-1") for f in range(1, 5)},
}  # fmt: skip

#: Shares of the template's height above and below which the top of the head and the soles of any shape lie.
CROWN, SOLES = 0.92, 0.06

#: anny's axes (x left, y backward, z up; metres) in ours.
_AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_MIRROR = np.array([-1.0, 1, 1])


@dataclass(frozen=True)
class Shapes:
    """Shapes: phenotypes (N, 6) and facial actions (N, 52) in [0, 1], local changes (N, 26) in [-1, 1]."""

    phenotypes: Floats
    local_changes: Floats
    face: Floats

    def __len__(self) -> int:
        return len(self.phenotypes)

    def __getitem__(self, chosen: Any) -> Shapes:
        """Some of the shapes: a slice or an array of indices."""
        return Shapes(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class BodyParts:
    """N bodies as sums over bones: a landmark lies at Σ_b (R_b u_b + m_b h_b), with R_b the bone's rotation in a pose
    and h_b its posed head, which lies at the parent's head + R_parent offset_b.

    masses m (landmarks, bones); offsets (N, bones, 3) mm; moments u (N, entries, 3) mm, where entry e is that of
    `landmark[e]` and `bone[e]` (all others are zero); stature (N,) mm.
    """

    masses: Floats
    offsets: Floats
    landmark: NDArray[np.intp]
    bone: NDArray[np.intp]
    moments: Floats
    stature: Floats


def mirrored_bone(name: str) -> str:
    """`x.R` for `x.L` and the reverse; a central bone stays."""
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name.endswith((".L", ".R")) else name


def mirrored_shape(label: str) -> str:
    """The blend shape that does what `label` does, on the other side: `Right` for `Left`, `r-` for `l-`."""
    kind, _, name = label.partition(":")
    if kind == "facial_action":
        name = name.replace("Left", "~").replace("Right", "Left").replace("~", "Right")
    elif kind == "local_change" and name.startswith(("l-", "r-")):
        name = {"l": "r", "r": "l"}[name[0]] + name[1:]
    return f"{kind}:{name}"


class VirtualBody:
    """A body of any shape in any pose, and its landmarks.

    points: the landmarks to read off, by default those of the registry. Raises CardError for a landmark
    that names a bone or a vertex which the body does not have, MissingExtraError where anny is not
    installed. The first body on a machine takes about a minute: anny then builds its model and keeps it.
    """

    def __init__(self, points: Landmarks | None = None):
        self.points = landmarks() if points is None else points
        self._anny = anny_model()
        self.bones: tuple[str, ...] = tuple(self._anny.bone_labels)
        self.parents = np.array([max(parent, -1) for parent in self._anny.bone_parents], dtype=np.intp)
        self.mirror = np.array([self.bones.index(mirrored_bone(bone)) for bone in self.bones], dtype=np.intp)
        self._vertices, self._combine = _reading(self.points, self.bones, self._vertex_of, self._vertex_mirror)

    @property
    def faces(self) -> tuple[str, ...]:
        """Names of the facial actions, the columns of `Shapes.face`."""
        return tuple(self._anny.facial_action_labels)

    @property
    def triangles(self) -> NDArray[np.int64]:
        """The mesh's triangles, (triangles, 3)."""
        return self._anny.faces.numpy()

    @cached_property
    def _vertex_of(self) -> dict[int, int]:
        """Base-mesh vertex -> vertex of the mesh in use."""
        return {int(base): index for index, base in enumerate(self._anny.base_mesh_vertex_indices)}

    @cached_property
    def _vertex_mirror(self) -> NDArray[np.intp]:
        """The vertex on the other side, (vertices,): the template mesh is symmetric."""
        tree = need("scipy.spatial", "body").cKDTree
        template = self._anny.template_vertices.numpy()
        distance, partner = tree(template).query(template * [-1, 1, 1])
        if distance.max() > 1e-6 or (partner[partner] != np.arange(len(partner))).any():
            raise InputError("anny's template mesh", expected="left and right mirror images, as in anny 0.6")
        return partner

    @cached_property
    def _weights(self) -> Floats:
        """Skinning weights of the vertices that landmarks use, (used vertices, bones)."""
        return self._skinning_weights(self._vertices)

    def _skinning_weights(self, vertices: NDArray[np.intp]) -> Floats:
        dense = np.zeros((len(vertices), len(self.bones)))
        rows = np.arange(len(vertices))[:, None]
        bones, weights = self._anny.vertex_bone_indices.numpy(), self._anny.vertex_bone_weights.numpy()
        np.add.at(dense, (rows, bones[vertices]), weights[vertices])
        return dense

    @cached_property
    def _basis(self) -> tuple[Floats, Floats]:
        """Template (columns,) and blend shapes (shapes, columns): bone heads, used vertices, heights; mm."""
        anny = self._anny
        labels = list(anny.blendshape_labels)
        partners = [0, *(1 + labels.index(mirrored_shape(label)) for label in labels)]
        parts = []
        for template, shapes, mirror in (
            (anny.template_bone_heads, anny.bone_heads_blendshapes, self.mirror),
            (anny.template_vertices[self._vertices], anny.blendshapes[:, self._vertices], self._used_mirror),
        ):
            stacked = 1000 * np.concatenate([template.numpy()[None], shapes.numpy()]) @ _AXES.T
            # anny's central bones lie up to 0.4 mm off the middle; exact symmetry is worth more to us.
            parts.append(((stacked + stacked[partners][:, mirror] * _MIRROR) / 2).reshape(len(stacked), -1))
        height = anny.template_vertices.numpy()[:, 2]
        share = (height - height.min()) / np.ptp(height)
        ends = np.flatnonzero((share > CROWN) | (share < SOLES))
        heights = np.concatenate([height[None, ends], anny.blendshapes[:, ends, 2].numpy()])
        table = np.concatenate([*parts, 1000 * heights], axis=1)
        return table[0], table[1:]

    @cached_property
    def _used_mirror(self) -> NDArray[np.intp]:
        return np.searchsorted(self._vertices, self._vertex_mirror[self._vertices])

    def _coefficients(self, shapes: Shapes) -> Floats:
        """Weights of anny's blend shapes, (N, blend shapes)."""
        torch, anny = need("torch", "body"), self._anny
        phenotypes = torch.as_tensor(np.asarray(shapes.phenotypes, dtype=np.float64))
        changes = {
            label: torch.as_tensor(np.ascontiguousarray(shapes.local_changes[:, column], dtype=np.float64))
            for column, name in enumerate(LOCAL_CHANGES)
            for label in _both_sides(name)
        }
        with torch.no_grad():
            found = anny.get_phenotype_blendshape_coefficients(
                **dict(zip(PHENOTYPES, phenotypes.T, strict=True)), local_changes=changes
            ).numpy()
        first = anny.blendshape_labels.index(f"facial_action:{self.faces[0]}")
        found[:, first : first + len(self.faces)] = shapes.face
        return found

    def _rest(self, shapes: Shapes) -> tuple[Floats, Floats, Floats]:
        """Bone heads (N, bones, 3), used vertices (N, used, 3) and stature (N,) of the unposed bodies, mm."""
        template, blendshapes = self._basis
        columns = template + self._coefficients(shapes) @ blendshapes
        heads, vertices = 3 * len(self.bones), 3 * len(self._vertices)
        heights = columns[:, heads + vertices :]
        return (
            columns[:, :heads].reshape(len(shapes), -1, 3),
            columns[:, heads : heads + vertices].reshape(len(shapes), -1, 3),
            heights.max(axis=1) - heights.min(axis=1),
        )

    @cached_property
    def _segments(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Bones of `SEGMENTS`, both sides, and those whose heads begin and end the segment, 3 x (bones,)."""
        rows = [
            [self.bones.index(f"{name}.{side}") for name in (bone, start, end)]
            for bone, (start, end) in SEGMENTS.items()
            for side in "LR"
        ]
        bones, start, end = np.array(rows).T
        return bones, start, end

    @cached_property
    def reference_heads(self) -> Floats:
        """Bone heads of the middle adult in the reference pose, (bones, 3) mm, root at the origin."""
        heads = self._rest(middle_shapes(1))[0][0]
        return heads - heads[0]

    def _transforms(self, poses: Floats, heads: Floats) -> tuple[Floats, Floats]:
        """Rotations from the shape's rest (N, bones, 3, 3) and posed bone heads (N, bones, 3)."""
        turned = np.array(np.broadcast_to(poses, (len(heads), len(self.bones), 3, 3)), dtype=np.float64)
        bones, start, end = self._segments
        wanted = self.reference_heads[end] - self.reference_heads[start]
        turned[:, bones] = turned[:, bones] @ between(heads[:, end] - heads[:, start], wanted)
        posed = np.zeros_like(heads)
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                offset = (heads[:, bone] - heads[:, parent])[..., None]
                posed[:, bone] = posed[:, parent] + (turned[:, parent] @ offset)[..., 0]
        return turned, posed

    def landmarks(self, poses: Floats, shapes: Shapes) -> Floats:
        """Landmarks of posed bodies, (N, landmarks, 3) in mm, in the order of `self.points.names`.

        poses: (N, bones, 3, 3), or (bones, 3, 3) for all; see the top of this module. Linear blend
        skinning, of the vertices that landmarks use only. Work in batches of some hundreds: memory goes
        with N.
        """
        self._check(poses, shapes)
        return self._read_off(poses, *self._rest(shapes)[:2])

    def measured(self, poses: Floats, shapes: Shapes) -> tuple[Floats, Floats]:
        """Landmarks as `landmarks` gives them, and the stature (N,) of the same bodies."""
        self._check(poses, shapes)
        heads, vertices, stature = self._rest(shapes)
        return self._read_off(poses, heads, vertices), stature

    def _read_off(self, poses: Floats, heads: Floats, vertices: Floats) -> Floats:
        turned, posed = self._transforms(poses, heads)
        skinned = _skinned(self._weights, turned, posed, heads, vertices)
        return _combined(self._combine, np.concatenate([posed, skinned], axis=1))

    def parts(self, shapes: Shapes) -> BodyParts:
        """The bodies taken apart bone by bone: what a pose turns and shifts. See `BodyParts`."""
        sparse, count = need("scipy.sparse", "body"), len(self.bones)
        heads, vertices, stature = self._rest(shapes)
        turned = self._transforms(np.eye(3), heads)[0]
        above = np.maximum(self.parents, 0)
        offsets = (turned[:, above] @ (heads - heads[:, above])[..., None])[..., 0]
        vertex, bone = np.nonzero(self._weights)
        pinned = (turned[:, bone] @ (vertices[:, vertex] - heads[:, bone])[..., None])[..., 0]
        skin = self._combine[:, count:]
        # One row for each landmark and bone, one column for each vertex and bone.
        spread = sparse.csr_matrix(skin[:, vertex] * self._weights[vertex, bone]).tocoo()
        places, row = np.unique(spread.row * count + bone[spread.col], return_inverse=True)
        table = sparse.csr_matrix((spread.data, (row, spread.col)), shape=(len(places), len(vertex)))
        return BodyParts(
            masses=self._combine[:, :count] + skin @ self._weights,
            offsets=offsets,
            landmark=places // count,
            bone=places % count,
            moments=_combined(table, pinned),
            stature=stature,
        )

    def rest(self, shapes: Shapes) -> Floats:
        """Landmarks in the reference pose, (N, landmarks, 3) mm."""
        return self.landmarks(np.eye(3), shapes)

    def stature(self, shapes: Shapes) -> Floats:
        """Standing height of the rest mesh, (N,) mm: what body size means in the bridge."""
        return self._rest(shapes)[2]

    def heads(self, poses: Floats, shapes: Shapes) -> Floats:
        """Posed bone heads, (N, bones, 3) mm: the joints of anny's rig."""
        self._check(poses, shapes)
        return self._transforms(poses, self._rest(shapes)[0])[1]

    @cached_property
    def skinning(self) -> Any:
        """Skinning weights of all vertices of the mesh, a sparse matrix (vertices, bones)."""
        vertices = np.arange(len(self._anny.template_vertices))
        return need("scipy.sparse", "body").csr_matrix(self._skinning_weights(vertices))

    def mesh(self, pose: Floats, shape: Shapes) -> Floats:
        """All vertices of one posed body, (vertices, 3) mm; `triangles` joins them."""
        self._check(pose, shape)
        return self.meshes(np.broadcast_to(pose, (1, len(self.bones), 3, 3)), shape)[0]

    def meshes(self, poses: Floats, shape: Shapes) -> Floats:
        """All vertices of one body in N poses (N, bones, 3, 3), (N, vertices, 3) mm."""
        heads = self._rest(shape)[0]
        coefficients = self._coefficients(shape)[0]
        used = np.flatnonzero(coefficients)
        moved = np.tensordot(coefficients[used], self._anny.blendshapes.numpy()[used], axes=1)
        vertices = 1000 * (self._anny.template_vertices.numpy() + moved) @ _AXES.T
        turned, posed = self._transforms(poses, np.repeat(heads, len(poses), axis=0))
        return _skinned(self.skinning, turned, posed, heads, vertices[None])

    def _check(self, poses: Floats, shapes: Shapes) -> None:
        expected = (len(shapes), len(self.bones), 3, 3)
        if np.shape(poses) not in (expected, expected[1:], (3, 3)):
            raise InputError("poses", expected=f"shape {expected} or {expected[1:]}", got=np.shape(poses))


def middle_shapes(count: int) -> Shapes:
    """`count` times the same person: an adult in the middle of all phenotypes, with a face at rest."""
    phenotypes = np.full((count, len(PHENOTYPES)), 0.5)
    phenotypes[:, PHENOTYPES.index("age")] = 2 / 3
    return Shapes(
        phenotypes,
        np.zeros((count, len(LOCAL_CHANGES))),
        np.zeros((count, len(anny_model().facial_action_labels))),
    )


@lru_cache(maxsize=1)
def anny_model() -> Any:
    """anny's model with our local changes and all facial actions, on the CPU in double precision."""
    labels = [label for name in LOCAL_CHANGES for label in _both_sides(name)]
    return need("anny", "body").Anny(local_changes=labels, facial_actions="all", skinning_method="lbs")


def _both_sides(label: str) -> list[str]:
    return [label, "r" + label[1:]] if label.startswith("l-") else [label]


def _skinned(weights: Any, turned: Floats, posed: Floats, heads: Floats, vertices: Floats) -> Floats:
    """Linear blend skinning of vertices (N, V, 3) with weights (V, bones) and rotations (N, bones, 3, 3)."""
    shift = posed - (turned @ heads[..., None])[..., 0]
    transforms = np.concatenate([turned, shift[..., None]], axis=-1).reshape(len(turned), -1, 12)
    blended = _combined(weights, transforms).reshape(len(turned), -1, 3, 4)
    return (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]


def _combined(weights: Any, points: Floats) -> Floats:
    """Weighted sums of each body: weights (rows, points), mostly zero, dense or sparse; points (N, points, k)."""
    table = np.ascontiguousarray(np.swapaxes(points, 0, 1)).reshape(points.shape[1], -1)
    summed = need("scipy.sparse", "body").csr_matrix(weights) @ table
    return np.ascontiguousarray(np.swapaxes(summed.reshape(weights.shape[0], len(points), -1), 0, 1))


def _reading(
    points: Landmarks, bones: tuple[str, ...], vertex_of: dict[int, int], vertex_mirror: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Floats]:
    """The vertices that landmarks use, with mirror images; weights of landmarks on bone heads and them."""
    for landmark in points.listed:
        _check_landmark(landmark, bones, vertex_of)
    used = {vertex_of[base] for landmark in points.listed for base in landmark.vertices}
    vertices = np.array(sorted(used | {int(vertex_mirror[vertex]) for vertex in used}), dtype=np.intp)
    combine = np.zeros((len(points.names), len(bones) + len(vertices)))
    for landmark in points.listed:
        row = points.index(landmark.name)
        for bone, weight in landmark.heads.items():
            combine[row, bones.index(bone)] += weight
            combine[points.mirror[row], bones.index(mirrored_bone(bone))] += weight
        for base, weight in landmark.vertices.items():
            vertex = vertex_of[base]
            for at, index in ((row, vertex), (int(points.mirror[row]), int(vertex_mirror[vertex]))):
                combine[at, len(bones) + int(np.searchsorted(vertices, index))] += weight
    # A central landmark was entered twice: once as itself, once as its own mirror image.
    combine[points.mirror == np.arange(len(points.names))] /= 2
    return vertices, combine


def _check_landmark(landmark: Landmark, bones: tuple[str, ...], vertex_of: dict[int, int]) -> None:
    where = f"landmark {landmark.name!r}"
    if landmark.tails:
        raise CardError(
            f"{where} names bone tails, which anny's default rig does not have",
            got=sorted(landmark.tails),
            mend="Name the head of the bone that follows, or vertices.",
        )
    for bone in landmark.heads:
        if bone not in bones:
            raise CardError(
                f"{where} names an unknown bone", expected=f"such as {nearest(bone, bones)}", got=repr(bone)
            )
    for base in landmark.vertices:
        if base not in vertex_of:
            raise CardError(
                f"{where} names a vertex that the body's mesh does not have",
                expected=f"a vertex of the skin, between {min(vertex_of)} and {max(vertex_of)}",
                got=base,
            )
    total = sum(landmark.heads.values()) + sum(landmark.vertices.values())
    if abs(total - 1) > 1e-6:
        raise CardError(f"the weights of {where}", expected="a sum of 1", got=round(total, 6))
