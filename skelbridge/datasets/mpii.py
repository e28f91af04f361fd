"""MPII Human Pose: people in web videos, 16 joints by hand in the picture; of the training pictures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets._native import Floats, blocks, cells, field, known_rows, mat
from skelbridge.datasets._parse import array, inside
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.images import image_size
from skelbridge.store.samples import Samples, Visibility

_FILE = "mpii_human_pose_v1_u12_1.mat"
_WORDS = {"0": Visibility.OCCLUDED, "1": Visibility.VISIBLE, "": Visibility.UNSAID}


class Mpii(Reader):
    """One part: all labelled people of the training pictures. Head top and neck are given without a word on sight."""

    id = "mpii"
    skeletons = ("mpii_16",)
    choices: ClassVar[Mapping[str, Choice]] = {
        "from_one": Choice(True, "coordinates count pixels from 1, as MATLAB does, and are brought to 0"),
    }

    def parts(self) -> list[Part]:
        return [Part("train", "train", (self.tree.first(_FILE, f"mpii_human_pose_v1_u12_2/{_FILE}"),))]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        release = mat(self.tree, path, ("RELEASE",))["RELEASE"]
        pictures = cells(
            self.tree, path, "annolist", field(self.tree, path, "RELEASE", release, "annolist"), (None, None)
        )
        pictures = pictures.ravel()
        train = field(self.tree, path, "RELEASE", release, "img_train")
        train = array(self.tree.root / path, "img_train", np.ravel(train), (len(pictures),)) == 1
        acts = self._activities(release, len(pictures))
        found = []
        for number in np.flatnonzero(train).tolist():
            name = self._name(path, number, pictures[number])
            for person, joints, seen in self._people(path, number, pictures[number]):
                found.append((number, person, name, acts[number], joints, seen))
        points = np.array([joints for *_, joints, _ in found]).reshape(-1, 16, 2) - (
            1 if self.settings["from_one"] else 0
        )
        rows = known_rows(points, self.notes)
        seen = np.array([one for *_, one in found]).reshape(-1, 16)
        for some in blocks(len(rows)):
            chosen = [found[row] for row in rows[some]]
            images = [self._image(name) for _, _, name, *_ in chosen]
            yield Samples.of(
                self.skeleton,
                points2d=points[rows[some]],
                visibility=seen[rows[some]],
                frame=[number for number, *_ in chosen],
                person=[person for _, person, *_ in chosen],
                image_size=[self._size(image) for image in images],
                split=part.split,
                activity=[act for _, _, _, act, *_ in chosen],
                image=images,
                native=path,
            )

    def _name(self, path: str, number: int, picture: Any) -> str:
        place = f"annolist {number + 1}"
        name = field(self.tree, path, place, picture, "image", "name")
        if not isinstance(name, str):
            raise damaged(self.tree.root / path, place, expected="a name of a picture", got=name)
        return inside(self.tree.root / path, place, name)

    def _people(self, path: str, number: int, picture: Any) -> Iterator[tuple[int, Floats, NDArray[np.uint8]]]:
        """The people of a picture who have points: which, the joints (16, 2), and what is said of their being seen."""
        people = field(self.tree, path, f"annolist {number + 1}", picture, "annorect")
        for person, entry in enumerate(_structs(people)):
            points = entry.get("annopoints")
            points = _structs(points.get("point")) if isinstance(points, dict) else []
            if not points:
                self.notes.drop("people without points")
                continue
            joints, seen = np.full((16, 2), np.nan), np.zeros(16, np.uint8)
            for point in points:
                place = f"annolist {number + 1}, person {person + 1}"
                joint, x, y = (_number(point.get(key)) for key in ("id", "x", "y"))
                if joint not in range(16) or not np.isfinite([x, y]).all() or max(abs(x), abs(y)) > 1e6:
                    got = f"{joint}, {x}, {y}"
                    raise damaged(self.tree.root / path, place, expected="id 0 to 15, and x and y", got=got)
                joints[int(joint)] = x, y
                seen[int(joint)] = _WORDS.get(_word(point.get("is_visible")), Visibility.UNSAID)
            yield person, joints, seen

    def _activities(self, release: Any, count: int) -> list[str]:
        acts = _structs(release.get("act"))
        names = [act.get("act_name", "") for act in acts] if len(acts) == count else [""] * count
        return [name if isinstance(name, str) else "" for name in names]

    def _image(self, name: str) -> str:
        return f"images/{name}" if self.tree.exists(f"images/{name}") else ""

    def _size(self, image: str) -> tuple[int, int]:
        if not image:
            self.notes.remark("picture sizes are not known without the pictures")
            return 0, 0
        with self.tree.open(image) as stream:
            return image_size(stream, str(self.tree.root / image))


def _structs(value: Any) -> list[dict[str, Any]]:
    """One struct or an array of them as a list; what is none is left out (MATLAB writes none as an empty number)."""
    entries = [value] if isinstance(value, dict) else value.ravel().tolist() if isinstance(value, np.ndarray) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _number(value: Any) -> float:
    """A number, NaN for anything else."""
    fine = isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "biuf"
    return float(value.flat[0]) if fine else float("nan")


def _word(value: Any) -> str:
    """is_visible, which is a number, a text or empty, as text."""
    if isinstance(value, str):
        return value.strip()
    return "" if np.isnan(number := _number(value)) else f"{number:g}"
