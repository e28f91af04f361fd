"""MuCo-3DHP: pictures in each of which four people of MPI-INF-3DHP are pasted; the poses are looked up there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets import _tdhp
from skelbridge.datasets._native import Floats, known_rows, placed
from skelbridge.datasets._parse import array
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.mat73 import Mat73
from skelbridge.io.tree import Tree
from skelbridge.store.samples import Samples

_INFO = "sampled_dataset_info.mat"

#: Folders of composites: as they were pasted, and with other clothes and backgrounds.
_SETS = ("unaugmented_set_001", "augmented_set_001")

#: Composites in a part.
_PART = 1000


@dataclass(frozen=True)
class _Recording:
    """A source: poses in the world (F, 28, 3) mm, in the picture of each camera (F, 28, 2), and the cameras."""

    world: NDArray[np.float32]
    flat: dict[int, NDArray[np.float32]]
    views: dict[int, tuple[Camera, tuple[int, int]]]


class Muco3dhp(Reader):
    """A part is a range of composites; where pictures are there, only composites that have one are read.

    A person's metric pose is the source recording's, in the camera of the composite. Recordings are read once and kept,
    3D in the world and 2D of each camera: about 400 MB for all of them.
    """

    id = "muco_3dhp"
    skeletons = ("mpi_inf_3dhp_28", "mpi_inf_3dhp_17", "mpi_inf_3dhp_21")
    choices: ClassVar[Mapping[str, Choice]] = {
        "source": Choice(
            "", "where S1/Seq1 and so on of MPI-INF-3DHP lie; empty: in the same folder or in mpi_inf_3dhp"
        ),
        "images": Choice("", "the folder of the pictures; empty: unaugmented_set_001, or else augmented_set_001"),
        "images_from": Choice(0, "1 where the source pictures were numbered from 1: composites show one frame earlier"),
    }

    def __init__(self, tree: Tree, **options: Any):
        super().__init__(tree, **options)
        self._recordings: dict[str, _Recording] = {}

    def parts(self) -> list[Part]:
        if self.settings["images_from"] not in (0, 1):
            raise InputError("the setting images_from", expected="0 or 1", got=self.settings["images_from"])
        self._source()
        if numbers := self._numbers():
            chunks = sorted({(number - 1) // _PART for number in numbers})
        else:
            self.notes.remark(f"no pictures in {self._folder()}: annotations only")
            with self._opened() as file:
                chunks = list(range(-(-file.cell("composite_info").shape[0] // _PART)))
        return [Part(f"{chunk * _PART + 1:06d}", "train", (chunk * _PART, bool(numbers))) for chunk in chunks]

    def read(self, part: Part) -> Iterator[Samples]:
        start, with_pictures = part.args
        origins = self._origins(start)
        images = [self._image(start + row + 1) for row in range(len(origins))]
        rows = np.array([row for row, image in enumerate(images) if image or not with_pictures], np.intp)
        if not len(rows):
            return
        people = origins[rows].reshape(-1, 4)
        points, flat, lenses, sizes = self._poses(people)
        kept = known_rows(points, self.notes)
        self._note_sides(people[kept])
        yield Samples.of(
            self.skeleton,
            points=points[kept],
            points2d=flat[kept],
            camera=[lenses[row] for row in kept],
            world_known=True,
            frame=np.repeat(rows + start + 1, 4)[kept],
            person=np.tile(np.arange(4), len(rows))[kept],
            image_size=np.array(sizes)[kept],
            split="train",
            subject=[f"S{subject}" for subject in people[kept, 0]],
            view=[str(view) for view in people[kept, 2]],
            image=[images[row] for row in np.repeat(rows, 4)[kept]],
            native=_INFO,
        )

    def _note_sides(self, people: NDArray[np.intp]) -> None:
        frames = people[:, 3] - int(self.settings["images_from"])
        here = (people[:, 0] == 4) & (people[:, 1] == 2)
        if count := _tdhp.swapped("S4/Seq2", frames[here]):
            self.notes.repair(_tdhp.SIDES, count)

    def _opened(self) -> Mat73:
        return Mat73(self.tree.open(self.tree.first(_INFO)), str(self.tree.root / _INFO))

    def _origins(self, start: int) -> NDArray[np.intp]:
        """Subject, recording, camera and frame of the people of a part's composites, (N, 4 people, 4)."""
        with self._opened() as file:
            info = file.cell("composite_info")
            if len(info.shape) != 3 or info.shape[1] != 4 or info.shape[2] < 1:
                expected = "a cell (composites, 4 people, columns)"
                raise damaged(self.tree.root / _INFO, "composite_info", expected=expected, got=f"shape {info.shape}")
            entries = info[start : start + _PART, :, 0]
        found = np.empty((*entries.shape, 4))
        for place, entry in np.ndenumerate(entries):
            name = f"composite_info, composite {start + place[0] + 1}"
            found[place] = array(self.tree.root / _INFO, name, np.ravel(entry), (4,))
        whole = found.astype(np.intp)
        if (whole != found).any():
            raise damaged(self.tree.root / _INFO, "composite_info", expected="whole numbers")
        return whole

    def _poses(self, people: NDArray[np.intp]) -> tuple[Floats, Floats, list[Camera], list[tuple[int, int]]]:
        """Metric poses in the camera (N, J, 3) and in the picture (N, J, 2), the cameras and the pictures' sizes."""
        source = self._source()
        points, flat, lenses, sizes = [], [], [], []
        for subject, number, view, frame in people.tolist():
            name = f"S{subject}/Seq{number}"
            if name not in _tdhp.FRAMES:
                raise damaged(self.tree.root / _INFO, "composite_info", expected="S1 to S8, Seq1 or Seq2", got=name)
            if name not in self._recordings:
                self._recordings[name] = self._recording(source, name)
            recording = self._recordings[name]
            frame -= int(self.settings["images_from"])
            if view not in recording.flat:
                expected = f"camera {view} in annot.mat and camera.calibration, as {_INFO} has it"
                raise damaged(source.root / name, "", expected=expected, got=f"cameras {sorted(recording.flat)}")
            if not 0 <= frame < len(recording.flat[view]):
                expected = f"a frame of {name}, camera {view}, below {len(recording.flat[view])}"
                raise damaged(self.tree.root / _INFO, "composite_info", expected=expected, got=frame)
            lens, size = recording.views[view]
            points.append(lens.to_camera(recording.world[frame]))
            flat.append(recording.flat[view][frame])
            lenses.append(lens)
            sizes.append(size)
        deep, image = (placed(np.stack(rows), "mpi_inf_3dhp_28", self.skeleton) for rows in (points, flat))
        return deep, image, lenses, sizes

    def _recording(self, source: Tree, name: str) -> _Recording:
        path = f"{name}/annot.mat"
        views = _tdhp.calibration(source, f"{name}/camera.calibration")
        deep = _tdhp.rows_by_view(source, path, "annot3", 3)
        view = next((view for view in deep if view in views), None)
        if view is None:
            raise damaged(source.root / path, "cameras", expected="a camera that is calibrated", got=list(deep))
        world = views[view][0].to_world(_tdhp.with_sides(deep.pop(view), name)).astype(np.float32)
        del deep
        flat = {
            view: _tdhp.with_sides(rows[: len(world)], name).astype(np.float32)
            for view, rows in _tdhp.rows_by_view(source, path, "annot2", 2).items()
            if view in views
        }
        return _Recording(world, flat, views)

    def _source(self) -> Tree:
        """The folder of MPI-INF-3DHP."""
        given = str(self.settings["source"])
        roots = [self.tree.root / given] if given else [self.tree.root, self.tree.root / "mpi_inf_3dhp"]
        for root in roots:
            if root.is_dir() and Tree(root).glob("S[1-8]/Seq[12]/annot.mat"):
                return Tree(root)
        Tree(roots[0]).require("S[1-8]/Seq[12]/annot.mat", "the recordings of MPI-INF-3DHP; or say --set source=FOLDER")
        raise AssertionError

    def _numbers(self) -> list[int]:
        """The numbers of the composites whose picture is there."""
        folder = self._folder()
        paths = self.tree.glob(f"{folder}/*.jpg") or self.tree.glob(f"{folder}/*/*/*.jpg")
        names = (path.rpartition("/")[2].removesuffix(".jpg") for path in paths)
        return [int(name) for name in names if name.isdecimal() and int(name) > 0]

    def _image(self, number: int) -> str:
        """The picture of a composite, all in one folder or in folders by leading digits; empty where it is missing."""
        name = f"{number:06d}"
        paths = (f"{self._folder()}/{name}.jpg", f"{self._folder()}/{name[:2]}/{name[:4]}/{name}.jpg")
        return next((path for path in paths if self.tree.exists(path)), "")

    def _folder(self) -> str:
        """The pictures' folder: augmented composites have the same numbers and people as the others."""
        given, there = str(self.settings["images"]).strip("/"), [name for name in _SETS if self.tree.folders(name)]
        return given or next(iter(there), _SETS[0])
