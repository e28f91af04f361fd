"""IKEA ASM: people who put furniture together, three views, points triangulated from a detector's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._parse import array, camera, load, video_length
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.pickles import read_pickle
from skelbridge.store.samples import Samples

SIZE = (1920, 1080)
SPLITS = ("train", "test")

Floats = NDArray[np.float64]


class IkeaAsm(Reader):
    """Every annotated frame of every view; the world is the axes of dev2. Points clicked in dev3 come along as 2D."""

    id = "ikea_asm"
    skeletons = ("coco_17",)

    def parts(self) -> list[Part]:
        self.tree.first(*(f"{split}_cross_env.txt" for split in SPLITS))
        splits: dict[str, str] = {}
        for split in SPLITS:
            if self.tree.exists(f"{split}_cross_env.txt"):
                lines = self.tree.read_text(f"{split}_cross_env.txt").split("\n")
                splits.update({line.strip().strip("/"): split for line in lines})
        found = []
        for path in self.tree.folders("*/*"):
            if "special_test" in path.split("/") or not self.tree.folders(f"{path}/dev[123]/pose3d"):
                continue
            if path in splits:
                found.append(Part(path, splits[path]))
            else:
                self.notes.remark(f"{path} is left out: neither list of splits has it.")
        if not found:
            self.tree.require("*/*/dev[123]/pose3d/*.json", "3D poses of IKEA ASM")
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        furniture, assembly = part.key.split("/")
        for folder in self.tree.folders(f"{furniture}/{assembly}/dev[123]"):
            view = folder.split("/")[-1]
            video = f"{folder}/images/scan_video.avi"
            length = video_length(self.tree, video)
            rows = []
            for path in self.tree.glob(f"{folder}/pose3d/*.json"):
                frame = self._frame(path)
                points = self._points(path)
                if length is not None and frame >= length:
                    self.notes.drop("frames beyond the end of the video")
                elif np.isfinite(points).all(axis=-1).any():
                    rows.append((frame, points, self._clicked(f"{folder}/pose2d/{PurePosixPath(path).name}"), path))
                else:
                    self.notes.drop("frames without a joint")
            if rows:
                frames, points3d, points2d, natives = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
                yield Samples.of(
                    self.skeleton,
                    points=np.array(points3d),
                    points2d=np.array(points2d),
                    camera=self._camera(assembly, view),
                    world_known=True,
                    frame=frames,
                    image=video,
                    video_frame=frames,
                    image_size=SIZE,
                    split=part.split,
                    sequence=part.key,
                    activity=furniture,
                    view=view,
                    native=natives,
                )

    def _frame(self, path: str) -> int:
        stem = PurePosixPath(path).stem
        if not (stem.isdecimal() and len(stem) < 10):
            raise damaged(self.tree.root / path, "the name", expected="a frame's number", got=stem)
        return int(stem)

    def _points(self, path: str) -> Floats:
        """The joints in the camera's axes, (17, 3) mm; those without confidence are missing."""
        file, said = self.tree.root / path, load(self.tree, path)
        listed = entry(file, "the file", said, "pose_keypoints_3d")
        points = array(file, "pose_keypoints_3d", listed, (68,), missing=True).reshape(17, 4)
        return np.where(points[:, 3:] > 0, 10 * points[:, :3], np.nan)

    def _clicked(self, path: str) -> Floats:
        """The points that people clicked in this frame, (17, 2) pixels; NaN where they did not."""
        points = np.full((17, 2), np.nan)
        if self.tree.exists(path):
            file, said = self.tree.root / path, load(self.tree, path)
            for joint, name in enumerate(self.skeleton.names):
                if isinstance(said, dict) and (word := name.replace("_", " ")) in said:
                    points[joint] = array(file, word, entry(file, word, said[word], "position"), (2,), missing=True)
        return points

    def _camera(self, assembly: str, view: str) -> Camera:
        """The camera of a view; its world is the axes of dev2, in mm."""
        scene = (assembly.split("_") + [""] * 4)[3]
        name = f"Calibration/{scene}/{view}/camera_parameters.json"
        said: Any
        if self.tree.exists(name):
            said = load(self.tree, name)
        else:
            name = self.tree.first("Calibration/camera_parameters.pkl", name)
            with self.tree.open(name) as stream:
                scenes = read_pickle(stream, self.tree.root / name)
            said = entry(
                self.tree.root / name, scene, entry(self.tree.root / name, "", scenes, scene, dict), view, dict
            )
        file = self.tree.root / name
        kinds = (list, np.ndarray)
        matrix = array(file, "K", entry(file, view, said, "K", kinds), (3, 3))
        rotation = array(file, "R", entry(file, view, said, "R", kinds), (3, 3))
        column = [
            row[0] if isinstance(row, kinds) and len(row) == 1 else row for row in entry(file, view, said, "T", kinds)
        ]
        return camera(file, view, matrix, rotation, 10 * array(file, "T", column, (3,)))
