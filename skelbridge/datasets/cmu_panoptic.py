"""CMU Panoptic Studio: groups of people in a dome of cameras, 19 joints triangulated without markers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._parse import array, camera, load, video_length
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import FileFormatError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry, parse_json
from skelbridge.io.tree import MissingFileError
from skelbridge.store.samples import Samples

Ints = NDArray[np.int64]

#: Rows given at once.
_BLOCK = 4000

#: More frames than a video has.
_ENDLESS = 10**9

POSES = ("hdPose3d_stage1_coco19", "hdPose3d_stage1_coco19/hd")


class CmuPanoptic(Reader):
    """Every reconstructed person of every HD frame, in every HD camera; in the world of the dome, y down."""

    id = "cmu_panoptic"
    skeletons = ("panoptic_19",)
    choices = {  # noqa: RUF012
        "min_confidence": Choice(0.1, "joints of no more confidence than this are missing"),
    }

    def parts(self) -> list[Part]:
        found = []
        for path in self.tree.require("*/calibration_*.json", "the calibration of a sequence"):
            sequence = path.split("/")[0]
            if path != f"{sequence}/calibration_{sequence}.json":
                continue
            folders = [f"{sequence}/{folder}" for folder in POSES]
            with_poses = [folder for folder in folders if self.tree.glob(f"{folder}/body3DScene_*.json")]
            if with_poses:
                found.append(Part(sequence, "train", (path, with_poses[0])))
            else:
                self.notes.remark(f"{sequence} has no poses of 19 joints and is left out.")
        if not found:
            self.tree.require(f"*/{POSES[0]}/body3DScene_*.json", "the poses of 19 joints")
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        calibration, folder = part.args
        frames, people, joints, natives = self._poses(folder)
        cameras = self._cameras(calibration)
        pictures = {view: self._pictures(part.key, view) for view in cameras}
        nothing = not any(count for _, count in pictures.values())
        for view, (seen_by, size) in cameras.items():
            source, length = pictures[view]
            count = len(frames) if nothing else int(np.searchsorted(frames, length))
            self.notes.drop("people whose picture is missing: no video, a broken or a short one", len(frames) - count)
            for start in range(0, count, _BLOCK):
                rows = slice(start, min(start + _BLOCK, count))
                yield Samples.of(
                    self.skeleton,
                    world=joints[rows],
                    camera=seen_by,
                    frame=frames[rows],
                    person=people[rows],
                    image=[source.format(frame) for frame in frames[rows]],
                    video_frame=frames[rows] if source.endswith(".mp4") else -1,
                    image_size=size,
                    split=part.split,
                    sequence=part.key,
                    view=view,
                    native=natives[rows],
                )

    def _pictures(self, sequence: str, view: str) -> tuple[str, int]:
        """The video, or the pattern of the pictures that were taken out of it; and before which frame it ends.

        That is 0 where neither is there, or only a video that cannot be opened: some of those given out are broken.
        """
        video, folder = f"{sequence}/hdVideos/hd_{view}.mp4", f"{sequence}/hdImgs/{view}"
        try:
            length = video_length(self.tree, video) or 0
        except FileFormatError:
            self.notes.remark(f"{video} is broken.")
            length = 0
        if not length and self.tree.folders(folder):
            return f"{folder}/{view}_{{:08d}}.jpg", _ENDLESS
        return video, length

    def _poses(self, folder: str) -> tuple[Ints, Ints, NDArray[np.float64], list[str]]:
        """Frame, person, joints (19, 3) in mm and file of every person of a sequence, in order of time."""
        frames, people, joints, natives = [], [], [], []
        for path in self.tree.glob(f"{folder}/body3DScene_*.json"):
            number = PurePosixPath(path).stem.removeprefix("body3DScene_")
            if not (number.isdecimal() and len(number) < 10):
                raise damaged(self.tree.root / path, "the name", expected="body3DScene_ and a frame's number", got=path)
            for person, points in self._bodies(path):
                frames.append(int(number))
                people.append(person)
                joints.append(points)
                natives.append(path)
        return np.array(frames, int), np.array(people, int), np.array(joints).reshape(-1, 19, 3), natives

    def _bodies(self, path: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """The number and the joints of everyone in a frame who has any."""
        file, content = self.tree.root / path, self._content(path)
        for number, body in enumerate(entry(file, "the file", content, "bodies") if content is not None else ()):
            place = f"body {number}"
            said = array(file, place, entry(file, place, body, "joints19"), (76,)).reshape(19, 4)
            joints = np.where(said[:, 3:] > float(self.settings["min_confidence"]), 10 * said[:, :3], np.nan)
            person = entry(file, place, body, "id", int)
            if not -1 <= person < 2**31:
                raise damaged(file, f"{place}, 'id'", expected="a person's number", got=person)
            if np.isfinite(joints[:, 0]).any():
                yield person, joints
            else:
                self.notes.drop("people without a joint")

    def _content(self, path: str) -> object:
        """The content of a pose file; None where it cannot be read, as happens in the distribution."""
        try:
            return parse_json(self.tree.read_bytes(path), self.tree.root / path)
        except MissingFileError:
            raise
        except FileFormatError:
            self.notes.drop("pose files that cannot be read")
            return None

    def _cameras(self, path: str) -> dict[str, tuple[Camera, tuple[int, int]]]:
        """The HD cameras by name, lengths in mm, with the size of their pictures."""
        file, found = self.tree.root / path, {}
        for number, said in enumerate(entry(file, "the file", load(self.tree, path), "cameras")):
            place = f"camera {number}"
            if entry(file, place, said, "type", str) != "hd":
                continue
            shapes = {"K": (3, 3), "R": (3, 3), "t": (3, 1), "distCoef": (5,), "resolution": (2,)}
            values = {
                key: array(file, f"{place}, {key}", entry(file, place, said, key), shape)
                for key, shape in shapes.items()
            }
            width, height = values["resolution"]
            name = entry(file, place, said, "name", str)
            if not re.fullmatch(r"\d\d_\d\d", name):
                raise damaged(file, f"{place}, 'name'", expected="00_00 to 00_30", got=name)
            seen_by = camera(file, place, values["K"], values["R"], 10 * values["t"][:, 0], values["distCoef"])
            found[name] = (seen_by, (int(width), int(height)))
        if not found:
            raise damaged(file, "cameras", expected='cameras of type "hd"', got="none")
        return found
