"""SPEC-SYN: rendered scans before cameras of many pitches and fields of view; SMPL bodies, one row a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera, inside
from skelbridge.datasets._pickled import load_npz
from skelbridge.datasets._placing import placed
from skelbridge.datasets._smpl import BodyModel
from skelbridge.datasets.reader import Part, Reader
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples

SIZE = (1920, 1080)
VARIABLES = ("imgname", "pose", "shape", "cam_rotmat", "cam_int", "openpose_gt")

#: People in a part: placing them takes about a minute.
_PART = 20_000

#: The joints that SMPL and BODY_25 have alike, by which bodies are placed before their cameras.
SHARED = ["neck", "pelvis"] + [
    f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]

#: A body that cannot be brought nearer to its points than this share of their extent is wrong.
MAX_ERROR = 0.05


class Spec(Reader):
    """Every person of every picture.

    The files have bodies without their place, and their points in the picture: a body is placed in the camera so that
    it projects onto them. The world has its origin in the camera and y down along gravity.
    """

    id = "spec"
    skeletons = ("smpl_24", "body_25")

    def parts(self) -> list[Part]:
        self.tree.require("spec-syn/annotations/*.npz", "the annotations of SPEC-SYN")
        found = []
        for split in ("train", "test"):
            if self.tree.exists(path := f"spec-syn/annotations/{split}.npz"):
                count = np.size(load_npz(self.tree, path, ("imgname",))["imgname"])
                found += [Part(f"{split}/{start}", split, (path, start)) for start in range(0, count, _PART)]
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        path, start = part.args
        file, content = self.tree.root / path, load_npz(self.tree, path, VARIABLES)
        names = [inside(file, f"imgname {row}", str(name)) for row, name in enumerate(np.ravel(content["imgname"]))]
        pose, shape, turns, inner, flat = (
            array(file, name, content[name], (len(names), *size))
            for name, size in (
                ("pose", (72,)), ("shape", (10,)), ("cam_rotmat", (3, 3)), ("cam_int", (3, 3)),
                ("openpose_gt", (25, 3)),
            )
        )  # fmt: skip
        lenses = [camera(file, f"row {row}", inner[row], turns[row]) for row in range(len(names))]
        people, number = Counter[str](), {name: frame for frame, name in enumerate(dict.fromkeys(names))}
        person = []
        for name in names:
            person.append(people[name])
            people[name] += 1
        for rows in blocks(min(_PART, len(names) - start)):
            rows = slice(start + rows.start, start + rows.stop)
            image = np.where(flat[rows, :, 2:] > 0, flat[rows, :, :2], np.nan)
            points = None
            if self.skeleton.id == "smpl_24":
                points = 1000 * self._bodies(pose[rows], shape[rows], lenses[rows], image)
            kept = known_rows(image if points is None else points, self.notes)
            at = kept + rows.start
            yield Samples.of(
                self.skeleton,
                points=None if points is None else points[kept],
                points2d=image[kept] if points is None else None,
                camera=[lenses[row] for row in at],
                world_known=True,
                frame=[number[names[row]] for row in at],
                person=[person[row] for row in at],
                image=[f"spec-syn/{names[row]}" for row in at],
                image_size=SIZE,
                split=part.split,
                native=path,
            )

    def _bodies(
        self, pose: NDArray[np.float64], shape: NDArray[np.float64], lenses: list[Camera], image: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The joints in the camera, (N, 24, 3) metres; NaN for a body that does not fit its points."""
        body = BodyModel.load(self.models, "smpl", "neutral", self.id).joints(pose, shape)
        points = image[:, [skeleton("body_25").names.index(name) for name in SHARED]]
        known = np.all(np.isfinite(points), axis=-1)
        rays = np.stack([lens.rays(one) for lens, one in zip(lenses, points, strict=True)])
        rays = np.where(known[..., None], rays, 0)
        turns, shifts, error = placed(body[:, [skeleton("smpl_24").names.index(name) for name in SHARED]], rays, known)
        seen = np.where(known[..., None], rays, np.nan)
        extent = np.max(np.nanmax(seen, axis=1, initial=-1e3) - np.nanmin(seen, axis=1, initial=1e3), axis=-1)
        wrong = (known.sum(axis=1) < 6) | ~(error < MAX_ERROR * extent)
        self.notes.drop("the body does not fit its points in the picture", int(wrong.sum()))
        found = np.einsum("nij,nkj->nki", turns, body) + shifts[:, None]
        return np.where(wrong[:, None, None], np.nan, found)
