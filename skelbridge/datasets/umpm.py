"""UMPM: one to four people in a room, up to two of them with markers, four cameras."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._parse import array, camera, video_length
from skelbridge.datasets.reader import Part, Reader
from skelbridge.errors import FileFormatError
from skelbridge.io.c3d import read_c3d
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry, parse_json
from skelbridge.store.samples import Samples

VIEWS = ("f", "s", "r", "l")
SIZE = (644, 486)

#: Sequences whose JSON file is broken beyond its commas: the calibration that belongs to them.
MENDED = {"p2_free_1": "calib_n27", "p3_circle_2": "calib_l06"}
#: The one whose calibration nobody knows.
LOST = "p2_free_2"


class Umpm(Reader):
    """Every video frame in every camera: of 100 poses a second every other one; one or two people."""

    id = "umpm"
    skeletons = ("umpm_15",)

    def parts(self) -> list[Part]:
        found = []
        for path in self.tree.require("Groundtruth/*_vm.c3d", "the virtual markers of UMPM"):
            sequence = PurePosixPath(path).stem.removesuffix("_vm")
            if sequence == LOST:
                self.notes.remark(f"{LOST} is left out: its file is broken, and its calibration is not known.")
            else:
                found.append(Part(sequence, "train", (path,)))
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        markers, _, _ = read_c3d(self.tree.read_bytes(path), self.tree.root / path)
        if markers.shape[1] not in (15, 30):
            raise damaged(self.tree.root / path, "", expected="15 or 30 points", got=markers.shape[1])
        people = markers[::2].reshape(-(-len(markers) // 2), -1, 15, 3)
        calibration = self._calibration(part.key)
        for view in VIEWS:
            video = self._video(f"Video/{part.key}_{view}.avi")
            length = video_length(self.tree, video)
            count = len(people) if length is None else min(len(people), length)
            self.notes.drop("poses beyond the end of the video", len(people) - count)
            given = np.isfinite(people[:count]).all(axis=-1).any(axis=-1)
            frame, person = np.nonzero(given)
            if len(frame):
                yield Samples.of(
                    self.skeleton,
                    world=people[frame, person],
                    camera=self._camera(f"Calib/{calibration}_{view}.ini"),
                    frame=frame,
                    person=person,
                    image=video,
                    video_frame=frame,
                    image_size=SIZE,
                    split=part.split,
                    sequence=part.key,
                    activity=part.key.partition("_")[2].partition("_")[0],
                    view=view,
                    native=path,
                )

    def _calibration(self, sequence: str) -> str:
        """The name of the calibration that the sequence's JSON file gives; its trailing commas are no JSON."""
        name = f"{sequence}.json"
        try:
            said = parse_json(re.sub(r",(\s*[}\]])", r"\1", self.tree.read_text(name)), self.tree.root / name)
            calibration = entry(self.tree.root / name, "the file", said, "calib", str)
        except FileFormatError:
            if sequence not in MENDED:
                raise
            self.notes.repair("sequences with a broken JSON file: their calibration is known otherwise")
            return MENDED[sequence]
        if not re.fullmatch(r"\w+", calibration):
            raise damaged(self.tree.root / name, "calib", expected="a name such as calib_l06", got=calibration)
        return calibration

    def _camera(self, name: str) -> Camera:
        path = self.tree.root / name
        lines = [line.split() for line in self.tree.read_text(name).split("\n") if line.strip()]
        if [len(line) for line in lines] != [3, 3, 3, 4, 3, 3]:
            raise damaged(path, "", expected="lines of 3, 3, 3, 4, 3, 3 numbers", got=[len(line) for line in lines][:9])
        matrix, bends, turn, translation = (
            array(path, place, values, shape)
            for place, values, shape in (
                ("lines 1 to 3", lines[:3], (3, 3)),
                ("line 4", lines[3], (4,)),
                ("line 5", lines[4], (3,)),
                ("line 6", lines[5], (3,)),
            )
        )
        return camera(path, "", matrix, Rotation.from_rotvec(turn).as_matrix(), translation, bends)

    def _video(self, path: str) -> str:
        """The video, packed as it is given out unless it lies there unpacked."""
        return path if self.tree.exists(path) else f"{path}.xz"
