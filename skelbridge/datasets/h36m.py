"""Human3.6M: world positions of 32 skeleton points (CDF), boxes as masks (HDF5), cameras in metadata.xml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, blocks, known_rows, mask_box, pinhole, placed
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.cdf import read_cdf
from skelbridge.io.files import damaged, numbers
from skelbridge.io.mat73 import Mat73
from skelbridge.store.samples import Samples

#: The cameras in the order of the calibration, with the width and height of their pictures.
SIZES = {"54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000), "60457274": (1000, 1002)}

_TEST = ("S9", "S11")

#: Takes of S9 whose positions lie 200 mm too far along the world's x; their boxes were made from them.
_SHIFTED = ("S9/Greeting", "S9/SittingDown 1", "S9/Waiting 1")
_SHIFT = np.array([-200.0, 0, 0])

#: Words that S1's files use for the actions of the others.
_ACTIONS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}


class Human36M(Reader):
    """A part is one take seen by one camera; frames count as in the video, at 50 a second."""

    id = "h36m"
    skeletons = ("h36m_25", "h36m_17", "h36m_32")
    choices: ClassVar[Mapping[str, Choice]] = {
        "boxes": Choice(True, "read the boxes from the ground_truth_bb masks where they are there (slow)"),
        "shift": Choice(True, "move the three displaced takes of S9 back by 200 mm"),
    }

    def parts(self) -> list[Part]:
        found = self.tree.require("S*/MyPoseFeatures/D3_Positions/*.cdf", "world positions of a subject's takes")
        self._metadata()
        takes = [(path.split("/")[0], path.rpartition("/")[2].removesuffix(".cdf")) for path in found]
        return [
            Part(f"{subject}/{take}.{view}", "test" if subject in _TEST else "train", (subject, take, view))
            for subject, take in takes
            if re.fullmatch(r"S([1-9]|10|11)", subject) and not take.startswith("_ALL")
            for view in SIZES
        ]

    def read(self, part: Part) -> Iterator[Samples]:
        subject, take, view = part.args
        features = f"{subject}/MyPoseFeatures"
        path, flat_path = f"{features}/D3_Positions/{take}.cdf", f"{features}/D2_Positions/{take}.{view}.cdf"
        lens = self._camera(subject, view)
        world = self._pose(path, None, 96).reshape(-1, 32, 3)
        count = len(world)
        flat = self._pose(flat_path, count, 64).reshape(-1, 32, 2) if self.tree.exists(flat_path) else None
        box = self._boxes(f"{subject}/MySegmentsMat/ground_truth_bb/{take}.{view}.mat", count)
        if self.settings["shift"] and f"{subject}/{take}" in _SHIFTED:
            depth = lens.to_camera(world[:, 0])[:, 2]
            world, flat, box = world + _SHIFT, None, _moved(box, lens, depth, _SHIFT)
            self.notes.repair("take of S9 displaced by 200 mm, moved back", count)
        video = f"{subject}/Videos/{take}.{view}.mp4"
        rows = known_rows(world, self.notes)
        action = take.split(" ")[0]
        for some in blocks(len(rows)):
            yield Samples.of(
                self.skeleton,
                world=placed(world[rows[some]], "h36m_32", self.skeleton),
                points2d=None if flat is None else placed(flat[rows[some]], "h36m_32", self.skeleton),
                camera=lens,
                frame=rows[some],
                video_frame=rows[some],
                image_size=SIZES[view],
                box=box[rows[some]],
                split=part.split,
                subject=subject,
                sequence=f"{subject}/{take}",
                activity=_ACTIONS.get(action, action),
                view=view,
                image=video if self.tree.exists(video) else "",
                native=path,
            )

    def _pose(self, path: str, count: int | None, columns: int) -> Floats:
        """The numbers of each frame, (F, columns)."""
        with self.tree.open(path) as stream:
            values = read_cdf(stream, str(self.tree.root / path))
        if "Pose" not in values:
            raise damaged(self.tree.root / path, "", expected="the variable Pose", got=", ".join(values) or "none")
        return array(self.tree.root / path, "Pose", values["Pose"], (1, count, columns))[0]

    def _metadata(self) -> str:
        return self.tree.first(
            "Release-v1.2/metadata.xml",
            "metadata.xml",
            "code-v1.2/Release-v1.2/metadata.xml",
            "Release-v1.1/metadata.xml",
        )

    def _camera(self, subject: str, view: str) -> Camera:
        """One of the 300 numbers of w0: (4 cameras, 11 subjects, angles and centre), then (4 cameras, 9 intrinsics)."""
        path = self._metadata()
        found = re.search(r"<w0>\s*\[([^\]<]*)\]\s*</w0>", self.tree.read_text(path))
        words = found[1].replace(",", " ").split() if found else []
        if len(words) != 300:
            raise damaged(self.tree.root / path, "w0", expected="300 numbers", got=f"{len(words)} words")
        values = numbers(words, self.tree.root / path, "w0")
        number = list(SIZES).index(view)
        *angles, x, y, z = values[:264].reshape(4, 11, 6)[number, int(subject[1:]) - 1]
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = values[264:].reshape(4, 9)[number]
        rotation = _rotation(*angles)
        return camera(
            self.tree.root / path,
            f"w0, camera {view}",
            pinhole(fx, fy, cx, cy),
            rotation,
            -rotation @ np.array([x, y, z]),
            (k1, k2, p1, p2, k3),
            lens="h36m",
        )

    def _boxes(self, path: str, count: int) -> Floats:
        """The box of each frame's mask, (F, 4) pixels, NaN where there is none."""
        box = np.full((count, 4), np.nan)
        if not self.settings["boxes"]:
            return box
        if not self.tree.exists(path):
            self.notes.remark("boxes are made from the joints where ground_truth_bb is not there")
            return box
        with self.tree.open(path) as stream, Mat73(stream, str(self.tree.root / path)) as file:
            masks = file.cell("Masks")
            if len(masks.shape) != 2 or min(masks.shape) != 1:
                raise damaged(self.tree.root / path, "Masks", expected="a mask a frame", got=f"shape {masks.shape}")
            for frame in range(min(count, max(masks.shape))):
                mask = masks[(0, frame) if masks.shape[0] == 1 else (frame, 0)]
                if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype.kind not in "biuf":
                    raise damaged(self.tree.root / path, f"mask {frame + 1}", expected="a mask, height by width")
                box[frame] = mask_box(mask > 0)
        return box


def _rotation(a: float, b: float, c: float) -> Floats:
    """World to camera: the elementary rotations about x, y and z, of radians, for column vectors."""
    (sa, sb, sc), (ca, cb, cc) = np.sin([a, b, c]), np.cos([a, b, c])
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def _moved(box: Floats, lens: Camera, depth: Floats, shift: Floats) -> Floats:
    """Boxes whose corners, at the person's depth, are moved in the world and projected again."""
    corners = np.stack([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    rays = lens.rays(corners) * depth[:, None, None]
    seen = np.concatenate([rays, np.broadcast_to(depth[:, None, None], (len(box), 2, 1))], axis=-1)
    corners = lens.project(lens.to_world(seen) + shift)
    return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
