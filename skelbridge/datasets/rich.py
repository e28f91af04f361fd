"""RICH: people and scenes, fitted SMPL-X bodies seen by several static cameras."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera, load
from skelbridge.datasets._pickled import field, flat, load_pickle
from skelbridge.datasets._pictures import size_of
from skelbridge.datasets._smpl import BodyModel, smpl_gender
from skelbridge.datasets.agora import KEPT_42
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.opencv import read_file_storage
from skelbridge.io.tree import MissingFileError
from skelbridge.store.samples import Samples

SPLITS = ("train", "val", "test")

#: Sequences are called scene_subject[_subject ...]_action.
NAME = re.compile(r"(?P<scene>.+?)_(?P<subjects>\d{3}(?:_\d{3})*)_(?P<action>[^_]+)")

#: Women among the subjects 0 to 21, as the toolkit's gender.json has them; that file is taken where it is there.
WOMEN = {9, 10, 12, 13, 16, 17, 18, 19, 21}

BITMAPS = ("Gym", "BBQ", "ParkingLot1", "ParkingLot2")

#: Parameters of a body, and how many numbers they are.
PARAMETERS = {
    "global_orient": 3, "body_pose": 63, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "left_hand_pose": 12,
    "right_hand_pose": 12, "betas": 10, "expression": 10, "transl": 3,
}  # fmt: skip


class Rich(Reader):
    """Every person of every frame, in each view that is calibrated."""

    id = "rich"
    skeletons = ("smplx_127", "smplx_42")

    def parts(self) -> list[Part]:
        found = []
        for split in SPLITS:
            for layout in (f"{split}_body", f"data/bodies/{split}"):
                for folder in self.tree.folders(f"{layout}/*"):
                    name = PurePosixPath(folder).name
                    if match := NAME.fullmatch(name):
                        found.append(
                            Part(f"{split}/{name}", split, (folder, *match.group("scene", "subjects", "action")))
                        )
                    else:
                        self.notes.remark(f"{folder} is no sequence's name, and left out.")
        if not found:
            self.tree.require("*_body/*/*/*.pkl", "RICH's bodies")
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        folder, scene, subjects, action = part.args
        sequence = PurePosixPath(folder).name
        views = [self._view(part.split, sequence, scene, path) for path in self._calibrations(scene)]
        filmed = [view for view in views if view[-1] != (0, 0)]
        if filmed and len(filmed) < len(views):
            self.notes.remark("Calibrated cameras without pictures of a sequence are left out.")
            views = filmed
        for person, number in enumerate(subjects.split("_")):
            paths = self.tree.glob(f"{folder}/*/{number}.pkl")
            frames = np.array([self._frame(path) for path in paths], int)
            points = self._joints(paths, int(number))
            rows = known_rows(points, self.notes)
            for view, lens, picture, size in views:
                for kept in (rows[block] for block in blocks(len(rows))):
                    yield Samples.of(
                        self.skeleton,
                        world=points[kept],
                        camera=lens,
                        frame=frames[kept],
                        person=person,
                        image=[picture.format(frame=frame) for frame in frames[kept]],
                        image_size=size,
                        split=part.split,
                        subject=number,
                        sequence=sequence,
                        activity=action,
                        view=view,
                        native=[paths[row] for row in kept],
                    )

    def _frame(self, path: str) -> int:
        name = PurePosixPath(path).parent.name
        if not (name.isdecimal() and len(name) < 10):
            raise damaged(self.tree.root / path, "", expected="a folder that is a frame's number", got=name)
        return int(name)

    def _joints(self, paths: list[str], subject: int) -> NDArray[np.float64]:
        """The joints of a person in the files of all frames, (F, J, 3) mm."""
        if not paths:
            return np.empty((0, len(self.skeleton), 3))
        rows = [self._parameters(path) for path in paths]
        said = {name: np.stack([row[name] for row in rows]) for name in PARAMETERS}
        model = BodyModel.load(self.models, "smplx", self._gender(subject), self.id)
        hands = model.hand_pose(said["left_hand_pose"], said["right_hand_pose"])
        body = [said[name] for name in ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose")]
        joints = model.joints(
            np.concatenate([*body, hands], axis=1),
            said["betas"],
            said["transl"],
            expression=said["expression"],
            landmarks=True,
        )
        return 1000 * (joints[:, KEPT_42] if self.skeleton.id == "smplx_42" else joints)

    def _parameters(self, path: str) -> dict[str, NDArray[np.float64]]:
        content = load_pickle(self.tree, path)
        return {
            name: array(self.tree.root / path, name, field(self.tree, path, content, name), (1, count))[0]
            for name, count in PARAMETERS.items()
        }

    def _gender(self, subject: int) -> str:
        for path in ("resource/gender.json", "gender.json"):
            if self.tree.exists(path):
                said = load(self.tree, path)
                if not isinstance(said, dict):
                    raise damaged(self.tree.root / path, "", expected="subjects and genders", got=type(said).__name__)
                for key in (f"{subject}", f"{subject:03d}"):
                    if key in said:
                        return smpl_gender(said[key], self.tree.root / path, f"subject {subject}")
        return "female" if subject in WOMEN else "male"

    def _calibrations(self, scene: str) -> list[str]:
        for layout in ("scan_calibration", "data/scan_calibration"):
            if found := self.tree.glob(f"{layout}/{scene}/calibration/*.xml"):
                return found
        raise MissingFileError(
            str(self.tree.root / f"scan_calibration/{scene}/calibration"), expected="a .xml file for every camera"
        )

    def _view(self, split: str, sequence: str, scene: str, path: str) -> tuple[str, Camera, str, tuple[int, int]]:
        """A view's name, its camera, its pictures' path with {frame} in it, and their size."""
        file, number = self.tree.root / path, int(PurePosixPath(path).stem)
        content = read_file_storage(self.tree.read_text(path), file)
        outer = array(file, "CameraMatrix", field(self.tree, path, content, "CameraMatrix"), (3, 4))
        inner = array(file, "Intrinsics", field(self.tree, path, content, "Intrinsics"), (3, 3))
        bend = array(file, "Distortion", flat(field(self.tree, path, content, "Distortion")), (None,))
        lens = camera(file, "", inner, outer[:, :3], 1000 * outer[:, 3], bend)
        name = f"cam_{number:02d}"
        for folder in (f"{split}/{sequence}/{name}", f"data/images/{split}/{sequence}/{name}"):
            for picture in self.tree.glob(f"{folder}/*_{number:02d}.*")[:1]:
                pattern = f"{folder}/{{frame:05d}}_{number:02d}{PurePosixPath(picture).suffix}"
                return name, lens, pattern, size_of(self.tree, picture)
        suffix = "bmp" if scene in BITMAPS else "png"
        return name, lens, f"{split}/{sequence}/{name}/{{frame:05d}}_{number:02d}.{suffix}", (0, 0)
