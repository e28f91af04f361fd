"""Berkeley MHAD: 43 optical markers of twelve people, twelve grey cameras in four clusters, two Kinects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets._pickled import field, flat
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.c3d import read_c3d
from skelbridge.io.files import damaged
from skelbridge.io.opencv import read_file_storage
from skelbridge.store.samples import Samples

SIZE = (640, 480)
CLUSTERS = {"l01": 4, "l02": 4, "l03": 2, "l04": 2}
KINECTS = ("k01", "k02")

#: Recordings that some clusters missed: (subject, action, repetition).
MISSED = {("s05", "a02", "r05"): ("l03", "l04"), ("s10", "a08", "r05"): ("l03", "l04")}

#: The C3D files have z up; the cameras' world, and the text files, y.
TO_Y_UP = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])


@dataclass(frozen=True, eq=False)
class View:
    """A camera, its name, its pictures' path with {index} in it and what is to be done to them; which file links its
    pictures to the markers."""

    name: str
    lens: Camera
    picture: str
    transform: str
    link: str


class BerkeleyMhad(Reader):
    """Every picture of every camera that has a calibration, with the markers of that moment."""

    id = "berkeley_mhad"
    skeletons = ("berkeley_mhad_43",)

    def parts(self) -> list[Part]:
        self.tree.require("Mocap/OpticalData/moc_*", "the optical data of Berkeley MHAD")
        found: dict[tuple[str, ...], str] = {}
        for suffix in ("txt", "c3d"):
            for path in self.tree.glob(f"Mocap/OpticalData/moc_*.{suffix}"):
                if match := re.fullmatch(r"moc_(s\d\d)_(a\d\d)_(r\d\d)", PurePosixPath(path).stem):
                    found[match.groups()] = path
        return [Part("_".join(names), "train", (found[names], *names)) for names in sorted(found)]

    def read(self, part: Part) -> Iterator[Samples]:
        path, *names = part.args
        points = self._from_c3d(path) if path.endswith(".c3d") else self._from_text(path)
        for view in self._views(*names):
            indices, moments = self._moments(view.link, len(points))
            kept = known_rows(points[moments], self.notes)
            for rows in (kept[block] for block in blocks(len(kept))):
                yield Samples.of(
                    self.skeleton,
                    world=points[moments[rows]],
                    camera=view.lens,
                    frame=indices[rows],
                    image=[view.picture.format(index=index) for index in indices[rows]],
                    transform=view.transform,
                    image_size=SIZE,
                    split=part.split,
                    subject=names[0],
                    sequence=part.key,
                    activity=names[1],
                    view=view.name,
                    native=path,
                )

    def _from_c3d(self, path: str) -> NDArray[np.float64]:
        points, _, _ = read_c3d(self.tree.read_bytes(path), self.tree.root / path)
        if points.shape[1] != len(self.skeleton):
            raise damaged(self.tree.root / path, "", expected="43 markers", got=points.shape[1])
        return points @ TO_Y_UP.T

    def _from_text(self, path: str) -> NDArray[np.float64]:
        """The markers of lines of 43 times x y z, then frame and time; (0, 0, 0) is missing."""
        rows = self._table(path, 3 * len(self.skeleton) + 2)
        points = rows[:, :-2].reshape(len(rows), -1, 3)
        return np.where(points.any(axis=-1, keepdims=True), points, np.nan)

    def _views(self, subject: str, action: str, repetition: str) -> list[View]:
        """The calibrated cameras; where there are pictures of the recording, those that have some."""
        name, folder = f"{subject}_{action}_{repetition}", f"{subject}/{action}/{repetition}".upper()
        found = []
        for cluster, count in CLUSTERS.items():
            if cluster in MISSED.get((subject, action, repetition), ()):
                continue
            for number, lens in self._cameras(cluster, count):
                view, link = f"{cluster}_c{number:02d}", f"Camera/Correspondences/corr_moc_img_{name}.txt"
                pictures = f"Camera/Cluster{cluster[1:]}/Cam{number:02d}/{folder}/img_{view}_{name}_{{index:05d}}.pgm"
                found.append(View(view, lens, pictures, "bayer_grbg", link))
        for kinect in KINECTS:
            for _, lens in self._cameras(kinect, 1):
                link = f"Kinect/Correspondences/corr_moc_kin{kinect[1:]}_{name}.txt"
                pictures = f"Kinect/Kin{kinect[1:]}/{folder}/kin_{kinect}_{name}_color_{{index:05d}}.ppm"
                found.append(View(kinect, lens, pictures, "", link))
        found = [view for view in found if self.tree.exists(view.link)]
        seen = [view for view in found if self.tree.folders(str(PurePosixPath(view.picture).parent))]
        return seen or found

    def _cameras(self, device: str, count: int) -> Iterator[tuple[int, Camera]]:
        """Number and camera of a cluster's cameras, or of a Kinect: world to cluster, then cluster to camera."""
        path, place = f"Calibration/camcfg_{device}.yml", f"Calibration/RwTw_{device}.txt"
        if not (self.tree.exists(path) and self.tree.exists(place)):
            self.notes.remark(f"{device} has no calibration ({path}, {place}), and is left out.")
            return
        file, content = self.tree.root / path, read_file_storage(self.tree.read_text(path), self.tree.root / path)
        turn, shift = self._world(place)
        for number in range(1, count + 1):
            said = field(self.tree, path, content, f"Camera_{number}")
            if not isinstance(said, dict):
                raise damaged(file, f"Camera_{number}", expected="K, Dist and PosRel", got=type(said).__name__)
            inner = array(file, f"Camera_{number}, K", field(self.tree, path, said, "K"), (3, 3))
            bends = array(file, f"Camera_{number}, Dist", flat(field(self.tree, path, said, "Dist")), (None,))
            inside = array(file, f"Camera_{number}, PosRel", flat(field(self.tree, path, said, "PosRel")), (6,))
            rotation = Rotation.from_rotvec(inside[3:]).as_matrix()
            yield number, camera(file, f"Camera_{number}", inner, rotation @ turn, rotation @ shift + inside[:3], bends)

    def _world(self, path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rotation and translation of the world into a cluster, from "Rw=" and nine numbers, "Tw=" and three."""
        parts = re.fullmatch(r"\s*Rw\s*=(.*?)Tw\s*=(.*)", self.tree.read_text(path), re.S)
        try:
            words = [[float(word) for word in part.split()] for part in parts.groups()] if parts else [[], []]
        except ValueError as error:
            raise damaged(self.tree.root / path, "", expected="numbers", got=str(error)) from error
        turn = array(self.tree.root / path, "Rw", words[0], (9,)).reshape(3, 3)
        return turn, array(self.tree.root / path, "Tw", words[1], (3,))

    def _moments(self, path: str, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of the pictures, and the row of the markers at the time of each."""
        rows = self._table(path, 3)
        indices, moments = rows[:, 0].astype(int), rows[:, 2].astype(int)
        inside = (moments >= 0) & (moments < count)
        self.notes.drop("the picture was taken outside of the markers' recording", int((~inside).sum()))
        return indices[inside], moments[inside]

    def _table(self, path: str, width: int) -> NDArray[np.float64]:
        """The numbers of a text file, (lines, width)."""
        rows = [line.split() for line in self.tree.read_text(path).splitlines() if line.strip()]
        try:
            values = [[float(word) for word in row] for row in rows]
        except ValueError as error:
            raise damaged(self.tree.root / path, "", expected="numbers", got=str(error)) from error
        return array(self.tree.root / path, "", values or np.empty((0, width)), (None, width))
