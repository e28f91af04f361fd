"""CHI3D, Fit3D and HumanSC3D: one laboratory, four cameras, one layout of files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array, camera, load, video_length
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.store.samples import Samples

SIZE = (900, 900)

#: Joints a video frame: the first releases have joints at 200 Hz, later ones at the video's 50 Hz.
RATES = (1, 4)


class Imar(Reader):
    """Every video frame of the training sequences in every camera; the test sequences have no labels.

    Raises FileFormatError where the joints fit the video at neither rate.
    """

    skeletons = ("imar_25",)
    choices = {  # noqa: RUF012
        "joints_per_frame": Choice(0, "1 or 4 rows of joints for a video frame; 0 finds out by the video's length"),
    }
    #: Whether a subject's joints may be of two people.
    pairs = False

    def parts(self) -> list[Part]:
        files = self.tree.require("train/*/joints3d_25/*.json", f"the joints of {self.id}")
        listed = self._listed()
        found = []
        for path in files:
            _, subject, _, name = path.split("/")
            if listed is None or subject in listed:
                action = name.removesuffix(".json")
                found.append(Part(f"{subject}/{action}", "train", (subject, action)))
            else:
                self.notes.remark(f"{subject} is left out: info.json does not list it for training.")
        return found

    def _listed(self) -> list[str] | None:
        """The training subjects of info.json, as the archives or their users name it; None where there is none."""
        for name in ("info.json", f"{self.id}_info.json", f"{self.id.replace('_', '')}_info.json"):
            if self.tree.exists(name):
                return list(entry(self.tree.root / name, "the file", load(self.tree, name), "train_subj_names"))
        return None

    def read(self, part: Part) -> Iterator[Samples]:
        subject, action = part.args
        path = f"train/{subject}/joints3d_25/{action}.json"
        people = self._joints(self.tree.root / path, load(self.tree, path))
        files = self.tree.require(f"train/{subject}/camera_parameters/*/{_literal(action)}.json", "its cameras")
        videos = {file: f"train/{subject}/videos/{file.split('/')[-2]}/{action}.mp4" for file in files}
        lengths = {video: video_length(self.tree, video) for video in videos.values()}
        stride = self._rate({video: count for video, count in lengths.items() if count is not None}, people.shape[1])
        joints = people[:, ::stride]
        for file, video in videos.items():
            shown = joints[:, : lengths[video]]
            self.notes.drop("joints beyond the end of the video", joints.shape[1] - shown.shape[1])
            owner, frame = np.nonzero(np.isfinite(shown).all(axis=-1).any(axis=-1))
            if len(frame):
                yield Samples.of(
                    self.skeleton,
                    world=shown[owner, frame],
                    camera=self._camera(file),
                    frame=frame,
                    person=owner,
                    image=video,
                    video_frame=frame,
                    image_size=SIZE,
                    split=part.split,
                    subject=[f"{subject}-{n}" for n in owner] if self.pairs else subject,
                    sequence=f"{subject}/{action}",
                    activity=re.sub(r"[ _]*[0-9]+$", "", action),
                    view=file.split("/")[-2],
                    native=path,
                )

    def _joints(self, path: Path, content: object) -> NDArray[np.float64]:
        """The joints in mm, (people, rows, 25, 3)."""
        listed = entry(path, "the file", content, "joints3d_25")
        if self.pairs and _depth(listed) == 4:
            return 1000 * array(path, "joints3d_25", listed, (None, None, 25, 3), missing=True)
        return 1000 * array(path, "joints3d_25", listed, (None, 25, 3), missing=True)[None]

    def _rate(self, lengths: dict[str, int], rows: int) -> int:
        """How many rows there are for a video frame, by the lengths of the videos that are there."""
        chosen = int(self.settings["joints_per_frame"])
        if chosen not in (0, *RATES):
            raise InputError("the setting joints_per_frame", expected="0, 1 or 4", got=chosen)
        if chosen:
            return chosen
        if not lengths:
            self.notes.remark("Videos are missing: the joints are taken to be at the videos' rate, 50 Hz.")
            return 1
        video, frames = max(lengths.items(), key=lambda known: known[1])
        for rate in RATES:
            if abs(rows / max(frames, 1) / rate - 1) < 0.2:
                return rate
        expected = "as many joint rows as video frames, or four times as many"
        raise damaged(self.tree.root / video, "", expected=expected, got=f"{rows} rows, {frames} frames")

    def _camera(self, name: str) -> Camera:
        """The camera with its lens; T in the files is where it stands, in metres."""
        path, said = self.tree.root / name, load(self.tree, name)
        outer = entry(path, "the file", said, "extrinsics", dict)
        inner = entry(path, "the file", said, "intrinsics_w_distortion", dict)
        rotation = array(path, "R", entry(path, "extrinsics", outer, "R"), (3, 3))
        numbers = {
            key: array(path, key, _flat(entry(path, "its parameters", group, key)), (count,))
            for group, key, count in (
                (outer, "T", 3), (inner, "f", 2), (inner, "c", 2), (inner, "k", 3), (inner, "p", 2),
            )
        }  # fmt: skip
        k1, k2, k3 = numbers["k"]
        return camera(
            path,
            "",
            pinhole(*numbers["f"], *numbers["c"]),
            rotation,
            -1000 * rotation @ numbers["T"],
            [k1, k2, *numbers["p"], k3],
            lens="h36m",
        )


def _depth(listed: object) -> int:
    """How deep lists are nested, along their first entries, up to 5."""
    depth = 0
    while isinstance(listed, list) and listed and depth < 5:
        depth, listed = depth + 1, listed[0]
    return depth


def _flat(listed: object) -> object:
    """What is in a list that may be wrapped in lists of one."""
    while isinstance(listed, list) and len(listed) == 1:
        listed = listed[0]
    return listed


def _literal(name: str) -> str:
    """A name as a pattern that only it matches."""
    return re.sub(r"([*?\[])", r"[\1]", name)
