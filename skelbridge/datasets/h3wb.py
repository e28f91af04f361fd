"""H3WB: 133 whole-body points of Human3.6M frames; training in one npz, the published test labels in JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._native import BLOCK, Floats, field, known_rows
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.h36m import SIZES
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.json_stream import members
from skelbridge.io.pickles import read_npz
from skelbridge.store.samples import Samples

_NPZ = ("h3wb_train.npz", "annotations/h3wb_train.npz")
#: The labels of all test samples, or of the half that each of two tasks is judged on.
_TESTS = ("RGBto3D_test_3d.json", "*_test*_3d.json")
_NO_POINTS = np.full((133, 2), np.nan)

#: The npz has intrinsics in thousands of pixels and places of cameras in metres.
_THOUSAND = 1000


@dataclass(frozen=True)
class _Row:
    """A sample: where in Human3.6M it is, its camera, 133 points in the camera (mm) and in the picture, its box."""

    subject: str
    take: str
    view: str
    frame: int
    camera: Camera | None
    points: Floats
    flat: Floats
    box: Floats


class H3wb(Reader):
    """One part for the training set, one for each file of test labels (cameras only where the npz has them)."""

    id = "h3wb"
    skeletons = ("coco_wholebody_133",)

    def parts(self) -> list[Part]:
        train = [path for path in _NPZ if self.tree.exists(path)][:1]
        patterns = [folder + pattern for pattern in _TESTS for folder in ("", "annotations/")]
        tests: list[str] = next(filter(None, map(self.tree.glob, patterns)), [])
        if not train and not tests:
            self.tree.first(*_NPZ)
        return [Part(path, "train", (path,)) for path in train] + [Part(path, "test", (path,)) for path in tests]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        rows = self._trained(path) if part.split == "train" else self._tested(path)
        while block := list(islice(rows, BLOCK)):
            yield from self._samples(part, block)

    def _samples(self, part: Part, rows: list[_Row]) -> Iterator[Samples]:
        points = np.stack([row.points for row in rows])
        rows = [rows[row] for row in known_rows(points, self.notes)]
        if not rows:
            return
        lenses = [row.camera for row in rows if row.camera is not None]
        images = [self._image(row) for row in rows]
        yield Samples.of(
            self.skeleton,
            points=[row.points for row in rows],
            points2d=[row.flat for row in rows],
            camera=lenses if len(lenses) == len(rows) else None,
            world_known=len(lenses) == len(rows),
            frame=[row.frame for row in rows],
            video_frame=[row.frame if image.endswith(".mp4") else -1 for row, image in zip(rows, images, strict=True)],
            image_size=[SIZES[row.view] for row in rows],
            box=[row.box for row in rows],
            split=part.split,
            subject=[row.subject for row in rows],
            sequence=[f"{row.subject}/{row.take}" for row in rows],
            activity=[row.take.split(" ")[0] for row in rows],
            view=[row.view for row in rows],
            image=images,
            native=part.key,
        )

    def _image(self, row: _Row) -> str:
        """The extracted frame, else the video of Human3.6M, else nothing."""
        folder, take = f"{row.subject}/Images/{row.take}.{row.view}", f"{row.take}.{row.view}"
        frames = (f"{folder}/frame_{row.frame:04d}.jpg", f"{folder}/frame_{row.frame}.jpg")
        paths = (*frames, f"{row.subject}/Videos/{take}.mp4")
        return next((path for path in paths if self.tree.exists(path)), "")

    def _trained(self, path: str) -> Iterator[_Row]:
        file = self._npz(path)
        cameras, boxes = self._cameras(path, file), file.get("bbox", {})
        for subject in file["train_data"]:
            takes = field(self.tree, path, f"train_data, {subject}", file["train_data"], subject)
            for take in takes if isinstance(takes, dict) else ():
                place = f"train_data, {subject}, {take}"
                frames = self._array(path, place, takes[take], "frame_id", (None,)).astype(int).tolist()
                for view in (view for view in SIZES if view in takes[take]):
                    if (subject, view) not in cameras:
                        raise damaged(self.tree.root / path, "metadata", expected=f"the camera {view} of {subject}")
                    values, seen = takes[take][view], f"{place}, {view}"
                    points = self._array(path, seen, values, "camera_3d", (len(frames), 133, 3))
                    flat = self._array(path, seen, values, "pose_2d", (len(frames), 133, 2))
                    for row, frame in enumerate(frames):
                        box = self._box(path, boxes.get((subject, take, view, frame)))
                        yield _Row(subject, take, view, frame, cameras[subject, view], points[row], flat[row], box)

    def _tested(self, path: str) -> Iterator[_Row]:
        """The entries of a file of test labels. Their pictures are those of Human3.6M, by name."""
        npz = next((path for path in _NPZ if self.tree.exists(path)), None)
        cameras = self._cameras(npz, self._npz(npz)) if npz else {}
        with self.tree.open(path) as stream:
            for number, entry in members(stream, self.tree.root / path):
                if isinstance(entry, dict) and "image_path" not in entry:
                    self.notes.drop("the test sample does not say of which picture and camera it is")
                    continue
                name = field(self.tree, path, f"sample {number}", entry, "image_path")
                found = re.fullmatch(r"(S\d+)/Images/([^/]+)\.(\d+)/frame_(\d{1,9})\.jpg", str(name))
                if not found or found[3] not in SIZES:
                    raise damaged(self.tree.root / path, f"sample {number}", expected="a frame of Human3.6M", got=name)
                subject, take, view, frame = found.groups()
                points = self._points(path, number, entry, "keypoints_3d", "xyz")
                flat = (
                    self._points(path, number, entry, "keypoints_2d", "xy") if "keypoints_2d" in entry else _NO_POINTS
                )
                box = self._box(path, entry.get("bbox"))
                yield _Row(subject, take, view, int(frame), cameras.get((subject, view)), points, flat, box)

    def _npz(self, path: str) -> dict[str, dict[Any, Any]]:
        """The dicts of the training file: train_data, metadata and, in re-packed ones, bbox."""
        with self.tree.open(path) as stream:
            file = read_npz(stream, str(self.tree.root / path))
        found = {name: array.item() for name, array in file.items() if array.dtype == object and array.size == 1}
        for name in ("train_data", "metadata"):
            if not isinstance(found.get(name), dict):
                raise damaged(
                    self.tree.root / path, name, expected="a dict by subject", got=", ".join(file) or "nothing"
                )
        return {name: value for name, value in found.items() if isinstance(value, dict)}

    def _cameras(self, path: str, file: dict[str, dict[Any, Any]]) -> dict[tuple[str, str], Camera]:
        """The cameras by subject and name: intrinsics in thousands of pixels, places in metres, Human3.6M's lens."""
        found = {}
        for subject, views in file["metadata"].items():
            for view in (view for view in SIZES if isinstance(views, dict) and view in views):
                place = f"metadata, {subject}, {view}"
                matrix, rotation, shift, bends = (
                    self._array(path, place, views[view], name, shape).reshape(shape[1:] if name != "T" else 3)
                    for name, shape in (("K", (1, 3, 3)), ("R", (1, 3, 3)), ("T", (1, 1, 3)), ("Distortion", (1, 5)))
                )
                matrix[:2] *= _THOUSAND
                lens = camera(self.tree.root / path, place, matrix, rotation, _THOUSAND * shift, bends, "h36m")
                found[subject, view] = lens
        return found

    def _array(self, path: str, place: str, values: Any, name: str, shape: tuple[int | None, ...]) -> Floats:
        return array(self.tree.root / path, f"{place}, {name}", field(self.tree, path, place, values, name), shape)

    def _points(self, path: str, number: str | int, entry: Any, name: str, axes: str) -> Floats:
        """The 133 points of a JSON entry, each a dict of its coordinates, under their numbers as text."""
        place = f"sample {number}, {name}"
        points = [field(self.tree, path, place, entry, name, str(joint)) for joint in range(133)]
        values = [[field(self.tree, path, place, point, axis) for axis in axes] for point in points]
        return array(self.tree.root / path, place, values, (133, len(axes)))

    def _box(self, path: str, entry: Any) -> Floats:
        if entry is None:
            return np.full(4, np.nan)
        values = [field(self.tree, path, "bbox", entry, name) for name in ("x_min", "y_min", "x_max", "y_max")]
        left, top, right, bottom = array(self.tree.root / path, "bbox", values, (4,))
        return np.array([left, top, right - left, bottom - top])
