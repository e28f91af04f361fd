"""MuPoTS-3D: twenty test sequences of two or three people in camera coordinates, without calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets._native import Floats, blocks, cells, field, fitted_pinhole, known_rows, mat
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.store.samples import Samples, Visibility

_FOLDERS = ("MultiPersonTestSet/", "", "*/MultiPersonTestSet/")
_STUDIO = ("TS1", "TS2", "TS3", "TS4", "TS5")


class Mupots3d(Reader):
    """A part is a sequence. The camera of each is fitted to its valid annotations; invalid people are left out."""

    id = "mupots_3d"
    skeletons = ("mpi_inf_3dhp_17",)
    choices: ClassVar[Mapping[str, Choice]] = {
        "pose": Choice("metric", "metric (annot3), or universal: univ_annot3, the same poses at one body size"),
    }

    def parts(self) -> list[Part]:
        if self.settings["pose"] not in ("metric", "universal"):
            raise InputError("the setting pose", expected="metric or universal", got=self.settings["pose"])
        found = next((paths for place in _FOLDERS if (paths := self.tree.glob(f"{place}TS*/annot.mat"))), None)
        found = found or self.tree.require("MultiPersonTestSet/TS*/annot.mat", "a sequence's annotations")
        return [Part(path.split("/")[-2], "test", (path.rpartition("/")[0],)) for path in found]

    def read(self, part: Part) -> Iterator[Samples]:
        (folder,) = part.args
        path = f"{folder}/annot.mat"
        people = cells(
            self.tree, path, "annotations", mat(self.tree, path, ("annotations",))["annotations"], (None, None)
        )
        rows = self._valid(path, people)
        if not len(rows):
            return
        flat, metric = self._stacked(path, people, rows, "annot2", 2), self._stacked(path, people, rows, "annot3", 3)
        lens = camera(
            self.tree.root / path,
            "the camera of annot2 and annot3",
            fitted_pinhole(metric.reshape(-1, 3), flat.reshape(-1, 2)),
        )
        universal = self.settings["pose"] == "universal"
        deep = self._stacked(path, people, rows, "univ_annot3", 3) if universal else metric
        seen = self._seen(folder, people.shape, rows)
        kept = known_rows(deep, self.notes)
        images = [f"{folder}/img_{frame:06d}.jpg" for frame in rows[kept, 0]]
        for some in blocks(len(kept)):
            chosen = kept[some]
            yield Samples.of(
                self.skeleton,
                points=deep[chosen],
                points2d=flat[chosen],
                visibility=None if seen is None else np.where(np.isfinite(deep[chosen]).all(-1), seen[chosen], 0),
                camera=lens,
                frame=rows[chosen, 0],
                person=rows[chosen, 1],
                image_size=(2048, 2048) if part.key in _STUDIO else (1920, 1080),
                split="test",
                sequence=part.key,
                image=[image if self.tree.exists(image) else "" for image in images[some]],
                native=path,
            )

    def _valid(self, path: str, people: NDArray[Any]) -> NDArray[np.intp]:
        """Frame and person of every valid annotation, (N, 2); a place without a struct is nobody."""
        rows, invalid = [], 0
        for frame, person in np.ndindex(people.shape):
            value, place = people[frame, person], f"frame {frame}, person {person}"
            if isinstance(value, np.ndarray) and not value.size:
                continue
            flag = array(self.tree.root / path, place, field(self.tree, path, place, value, "isValidFrame"), (1, 1))
            rows += [(frame, person)] if flag[0, 0] else []
            invalid += not flag[0, 0]
        if invalid:
            self.notes.drop("people whose frame is marked invalid", invalid)
        return np.array(rows, np.intp).reshape(-1, 2)

    def _stacked(self, path: str, people: NDArray[Any], rows: NDArray[np.intp], name: str, width: int) -> Floats:
        """A field of the structs at some places, (N, 17, width)."""
        return np.stack(
            [
                array(
                    self.tree.root / path,
                    place := f"frame {frame}, person {person}, {name}",
                    field(self.tree, path, place, people[frame, person], name),
                    (width, 17),
                ).T
                for frame, person in rows
            ]
        )

    def _seen(self, folder: str, shape: tuple[int, ...], rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """The visibility of each joint, (N, 17), where occlusion.mat is there."""
        path = f"{folder}/occlusion.mat"
        if not self.tree.exists(path):
            return None
        values = mat(self.tree, path, ("occlusion_labels",))["occlusion_labels"]
        labels = cells(self.tree, path, "occlusion_labels", values, shape)
        occluded = [
            array(self.tree.root / path, f"frame {frame}, person {person}", labels[frame, person], (1, 17))[0] > 0
            for frame, person in rows
        ]
        return np.where(occluded, int(Visibility.OCCLUDED), int(Visibility.VISIBLE))
