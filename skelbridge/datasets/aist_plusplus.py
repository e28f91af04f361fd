"""AIST++: dancers in a ring of nine cameras; 17 joints triangulated from detections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera, load
from skelbridge.datasets._pickled import field, load_pickle
from skelbridge.datasets._smpl import BodyModel
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.video import Video
from skelbridge.store.samples import Samples

SPLITS = {"train": "pose_train", "validation": "pose_val", "test": "pose_test"}

#: Rows are 60 a second.
RATE = 60.0

#: A view that is not synchronised, and one whose video has another size than its calibration.
BAD_VIEWS = {("gBR_sBM_cAll_d04_mBR0_ch01", "c05"), ("gJB_sBM_cAll_d07_mJB3_ch05", "c07")}


def frames_shown(count: int, rate: float, rounding: str) -> NDArray[np.intp]:
    """The frame of a video of `rate` frames a second at each of `count` places of 60 a second.

    As ffmpeg's filter fps has it: frame k is shown from place k 60 / rate on, rounded "down" or "up", until the next
    one is. Raises InputError for another rounding.
    """
    places, ratio = np.arange(count), rate / RATE
    if rounding not in ("up", "down"):
        raise InputError("the setting rounding", expected="down or up", got=rounding)
    shown = np.floor(places * ratio + 1e-6) if rounding == "up" else np.ceil((places + 1) * ratio - 1e-6) - 1
    return shown.astype(np.intp)


class AistPlusPlus(Reader):
    """Every frame of every sequence that is not on the list of failures, in nine views but for two bad ones."""

    id = "aist_plusplus"
    skeletons = ("coco_17", "smpl_24")
    choices = {  # noqa: RUF012
        "smoothed": Choice(True, "the smoothed joints (keypoints3d_optim); false for the plain triangulation"),
        "rounding": Choice("down", "how videos that have not 60 frames a second are brought to it: down, or up"),
    }

    def parts(self) -> list[Part]:
        names = [PurePosixPath(p).stem for p in self.tree.require("annotations/keypoints3d/*.pkl", "AIST++'s joints")]
        split = {name: word for word, file in SPLITS.items() for name in self._words(f"annotations/splits/{file}.txt")}
        failed = set(self._words("annotations/ignore_list.txt"))
        if some := failed & set(names):
            self.notes.remark(f"{len(some)} sequences are on the list of failed reconstructions, and left out.")
        if others := set(names) - failed - set(split):
            self.notes.remark(f"{len(others)} sequences are in no split, and left out: {min(others)} ...")
        return [Part(name, split[name]) for name in names if name in split and name not in failed]

    def read(self, part: Part) -> Iterator[Samples]:
        sequence = part.key
        path, points = self._points(sequence)
        for name, lens, size in self._cameras(sequence):
            if (sequence, name) in BAD_VIEWS:
                self.notes.drop("the view is not synchronised, or has another size", len(points))
                continue
            video = f"videos/{sequence.replace('cAll', name)}.mp4"
            shown = self._shown(video, len(points))
            rows = known_rows(points, self.notes)
            self.notes.drop("the video ends before", int((shown[rows] < 0).sum()))
            rows = rows[shown[rows] >= 0]
            for kept in (rows[block] for block in blocks(len(rows))):
                yield Samples.of(
                    self.skeleton,
                    world=points[kept],
                    camera=lens,
                    frame=kept,
                    image=video,
                    video_frame=shown[kept],
                    image_size=size,
                    split=part.split,
                    subject=next((word for word in sequence.split("_") if word[:1] == "d"), ""),
                    sequence=sequence,
                    activity=sequence.partition("_")[0],
                    view=name,
                    native=path,
                )

    def _points(self, sequence: str) -> tuple[str, NDArray[np.float64]]:
        """The file of the joints, and the joints, (frames, J, 3) mm."""
        if self.skeleton.id == "coco_17":
            path = f"annotations/keypoints3d/{sequence}.pkl"
            name = "keypoints3d_optim" if self.settings["smoothed"] else "keypoints3d"
            content = load_pickle(self.tree, path)
            joints = field(self.tree, path, content, name)
            return path, 10 * array(self.tree.root / path, name, joints, (None, 17, 3), missing=True)
        path = f"annotations/motions/{sequence}.pkl"
        content = load_pickle(self.tree, path)

        def said(name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
            return array(self.tree.root / path, name, field(self.tree, path, content, name), shape)

        poses = said("smpl_poses", (None, 72))
        place, scale = said("smpl_trans", (len(poses), 3)), said("smpl_scaling", (1,))
        body = BodyModel.load(self.models, "smpl", "male", self.id).joints(poses, np.zeros(10))
        return path, 10 * (scale * body + place[:, None])

    def _cameras(self, sequence: str) -> Iterator[tuple[str, Camera, Any]]:
        """Name, camera and picture size of every view."""
        mapping = "annotations/cameras/mapping.txt"
        rows = [line.split() for line in self.tree.read_text(mapping).splitlines()]
        places = [row[1] for row in rows if len(row) == 2 and row[0] == sequence and re.fullmatch(r"\w+", row[1])]
        if not places:
            raise damaged(self.tree.root / mapping, sequence, expected="the sequence and its cameras")
        path = f"annotations/cameras/{places[0]}.json"
        file, content = self.tree.root / path, load(self.tree, path)
        if not isinstance(content, list):
            raise damaged(file, "", expected="a list of cameras", got=type(content).__name__)
        for number, said in enumerate(content):
            matrix, turn, shift, bends, size = (
                array(file, f"camera {number}, {key}", entry(file, f"camera {number}", said, key), shape)
                for key, shape in (
                    ("matrix", (3, 3)), ("rotation", (3,)), ("translation", (3,)), ("distortions", (5,)),
                    ("size", (2,)),
                )
            )  # fmt: skip
            rotation = Rotation.from_rotvec(turn).as_matrix()
            name = entry(file, f"camera {number}", said, "name", str)
            if not re.fullmatch(r"c\d\d", name):
                raise damaged(file, f"camera {number}, 'name'", expected="c01 to c09", got=name)
            yield name, camera(file, f"camera {number}", matrix, rotation, 10 * shift, bends), size.astype(int)

    def _shown(self, path: str, count: int) -> NDArray[np.intp]:
        """The frame of the video that is shown at each row's time, -1 after its end."""
        if not self.tree.exists(path):
            return np.arange(count)
        with Video(self.tree.open(path), path) as video:
            shown = frames_shown(count, video.fps or RATE, str(self.settings["rounding"]))
            return np.where(shown < len(video), shown, -1)

    def _words(self, path: str) -> list[str]:
        return self.tree.read_text(path).split()
