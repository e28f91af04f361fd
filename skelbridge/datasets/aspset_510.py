"""ASPset-510: sport outdoors, three views, 17 joints triangulated without markers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._parse import array, camera, load, video_length
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.c3d import read_c3d
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.store.samples import Samples

VIEWS = ("left", "mid", "right")
SIZE = (3840, 2160)


class Aspset510(Reader):
    """Every frame of every clip in each of its views; of test clips only the view that is judged on."""

    id = "aspset_510"
    skeletons = ("aspset_17",)

    def parts(self) -> list[Part]:
        table = self.tree.first("splits.csv")
        self.tree.require("*/joints_3d/*/*.c3d", "ASPset's joints")
        found, missing = [], 0
        for number, row in enumerate(self._rows(table), 1):
            if row == ["subject_id", "clip_id", "split", "camera"]:
                continue
            if len(row) != 4 or row[2] not in ("train", "val", "test") or row[3] not in ("all", *VIEWS):
                expected = "subject, clip, train or val or test, all or a view"
                raise damaged(self.tree.root / table, f"row {number}", expected=expected, got=",".join(row))
            subject, clip, split, view = row
            folder = "test" if split == "test" else "trainval"
            if self.tree.exists(f"{folder}/joints_3d/{subject}/{subject}-{clip}.c3d"):
                views = VIEWS if view == "all" else (view,)
                found.append(Part(f"{subject}/{clip}", split, (folder, subject, clip, views)))
            else:
                missing += 1
        if missing:
            self.notes.remark(f"{table} lists clips whose joints are not here: {missing} (test has its own archive).")
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        folder, subject, clip, views = part.args
        joints = f"{folder}/joints_3d/{subject}/{subject}-{clip}.c3d"
        points, _, _ = read_c3d(self.tree.read_bytes(joints), self.tree.root / joints)
        if points.shape[1] != len(self.skeleton):
            raise damaged(self.tree.root / joints, "", expected="17 points", got=points.shape[1])
        for view in views:
            video = f"{folder}/videos/{subject}/{subject}-{clip}-{view}.mkv"
            boxes = self._boxes(f"{folder}/boxes/{subject}/{subject}-{clip}-{view}.csv", len(points))
            length = video_length(self.tree, video)
            count = min(len(points), len(boxes), len(points) if length is None else length)
            self.notes.drop("frames beyond the end of the boxes or the video", len(points) - count)
            kept = np.flatnonzero(np.isfinite(points[:count]).all(axis=-1).any(axis=-1))
            if len(kept):
                yield Samples.of(
                    self.skeleton,
                    world=points[kept],
                    camera=self._camera(f"{folder}/cameras/{subject}/{subject}-{view}.json"),
                    box=boxes[kept],
                    frame=kept,
                    image=video,
                    video_frame=kept,
                    image_size=SIZE,
                    split=part.split,
                    subject=subject,
                    sequence=f"{subject}-{clip}",
                    view=view,
                    native=joints,
                )

    def _camera(self, path: str) -> Camera:
        file, said = self.tree.root / path, load(self.tree, path)
        inner = array(file, "intrinsic_matrix", entry(file, "the file", said, "intrinsic_matrix"), (12,)).reshape(3, 4)
        outer = array(file, "extrinsic_matrix", entry(file, "the file", said, "extrinsic_matrix"), (16,)).reshape(4, 4)
        return camera(file, "", inner[:, :3], outer[:3, :3], outer[:3, 3])

    def _boxes(self, path: str, count: int) -> NDArray[np.float64]:
        """Left, top, width, height of every frame; NaN where there is no file of them."""
        if not self.tree.exists(path):
            return np.full((count, 4), np.nan)
        corners = array(self.tree.root / path, "below its head", self._rows(path)[1:], (None, 4))
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)

    def _rows(self, path: str) -> list[list[str]]:
        try:
            return [row for row in csv.reader(StringIO(self.tree.read_text(path))) if row]
        except csv.Error as error:
            raise damaged(self.tree.root / path, "", expected="a table in CSV", got=error) from None
