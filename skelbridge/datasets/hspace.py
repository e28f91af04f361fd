"""HSPACE: rendered GHUM people in scenes; one file of records a sequence, one record a frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io import rle
from skelbridge.io.files import damaged
from skelbridge.io.images import read_image
from skelbridge.io.tfrecord import Feature, read_examples
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples


class Hspace(Reader):
    """Every person of every record, with mask; the pictures lie in the records, too, one in each."""

    id = "hspace"
    skeletons = ("ghum_35", "ghum_63")

    def parts(self) -> list[Part]:
        paths = self.tree.require("2021_01/train/*.tfrecord", "the records of HSPACE")
        return [Part(PurePosixPath(path).stem, "train", (path,)) for path in paths]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        with self.tree.open(path) as stream:
            for frame, record in enumerate(read_examples(stream, self.tree.root / path)):
                yield from self._frame(path, frame, record, part)

    def _frame(self, path: str, frame: int, record: dict[str, Feature], part: Part) -> Iterator[Samples]:
        place = f"record {frame}"
        people = range(int(self._numbers(path, place, record, "number_of_rigged_characters", 1)[0]))
        wanted = [skeleton("ghum_63").names.index(name) for name in self.skeleton.names]
        points = [self._numbers(path, place, record, f"RIGGED_{n}/joints_3d", 189).reshape(63, 3) for n in people]
        if not points:
            return
        labels = self._labels(path, place, record)
        masks = []
        for number in people:
            label = self._numbers(path, place, record, f"RIGGED_{number}/mask_id", 1)[0]
            # the label before a person's own is the person's, too (hair or clothes), but never the background
            masks.append(rle.encode((labels > 0) & ((labels == label) | (labels == label - 1))))
        yield Samples.of(
            self.skeleton,
            points=1000 * np.stack(points)[:, wanted],
            camera=self._camera(path, place, record),
            frame=frame,
            video_frame=frame,
            image=path,
            person=list(people),
            masks=masks,
            image_size=labels.shape[::-1],
            split=part.split,
            sequence=part.key,
            native=path,
        )

    def _numbers(self, path: str, place: str, record: dict[str, Feature], name: str, count: int) -> NDArray[np.float64]:
        return array(self.tree.root / path, f"{place}, {name}", record.get(name), (count,))

    def _camera(self, path: str, place: str, record: dict[str, Feature]) -> Camera:
        return camera(
            self.tree.root / path, place, pinhole(*self._numbers(path, place, record, "camera_intrinsics", 4))
        )

    def _labels(self, path: str, place: str, record: dict[str, Feature]) -> NDArray[np.uint8]:
        """The picture of labels: which person every pixel belongs to."""
        content = record.get("character_masks")
        if not isinstance(content, list) or len(content) != 1:
            raise damaged(self.tree.root / path, f"{place}, character_masks", expected="a picture", got=type(content))
        return read_image(io.BytesIO(content[0]), f"{self.tree.root / path}, {place}, character_masks")[..., 0]
