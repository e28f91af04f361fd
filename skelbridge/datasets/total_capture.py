"""TotalCapture: a solved Vicon skeleton of 21 joints, seen by eight cameras."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, blocks, known_rows, pinhole
from skelbridge.datasets._parse import camera
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged, numbers
from skelbridge.io.video import Video
from skelbridge.store.samples import Samples

_INCH = 25.4
_TRAINING_SUBJECTS, _TEST_TAKES = ("S1", "S2", "S3"), ("walking2", "acting3", "freestyle3")


class TotalCapture(Reader):
    """A part is one take with all cameras. Takes of S4 and S5 that are neither trained nor judged on are "other"."""

    id = "total_capture"
    skeletons = ("total_capture_21",)

    def parts(self) -> list[Part]:
        self.tree.first("calibration.cal")
        found = self.tree.require("vicon/[Ss][1-5]/*/gt_skel_gbl_pos.txt", "a take's joints")
        parts = []
        for path in found:
            _, subject, take, _ = path.split("/")
            split = "test" if take in _TEST_TAKES else "train" if subject.upper() in _TRAINING_SUBJECTS else "other"
            parts.append(Part(f"{subject.upper()}/{take}", split, (path,)))
        return parts

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        subject, take = part.key.split("/")
        world = self._positions(path)
        for view, (lens, size) in enumerate(self._cameras(), 1):
            video = self._video(subject, take, view)
            rows = known_rows(world[: self._frames(video, len(world))], self.notes)
            for some in blocks(len(rows)):
                yield Samples.of(
                    self.skeleton,
                    world=world[rows[some]],
                    camera=lens,
                    frame=rows[some],
                    video_frame=rows[some],
                    image_size=size,
                    split=part.split,
                    subject=subject,
                    sequence=part.key,
                    activity=take.rstrip("0123456789"),
                    view=str(view),
                    image=video,
                    native=path,
                )

    def _positions(self, path: str) -> Floats:
        """The joints of each line in the world, (F, 21, 3) mm; the first line names them."""
        head, *lines = self.tree.read_text(path).split("\n")
        given, wanted = head.split(), [joint.native for joint in self.skeleton.joints]
        if sorted(given) != sorted(map(str, wanted)):
            raise damaged(self.tree.root / path, "line 1", expected=" ".join(map(str, wanted)), got=head)
        rows = []
        for number, line in enumerate(lines, 2):
            words = line.split()
            if len(words) == 3 * len(wanted):
                rows.append(numbers(words, self.tree.root / path, f"line {number}"))
            elif words:
                got = f"{len(words)} words"
                raise damaged(self.tree.root / path, f"line {number}", expected=f"{3 * len(wanted)} numbers", got=got)
        if not rows:
            raise damaged(self.tree.root / path, "", expected="lines of positions", got="none")
        return _INCH * np.array(rows).reshape(-1, len(given), 3)[:, [given.index(str(name)) for name in wanted]]

    def _cameras(self) -> list[tuple[Camera, tuple[int, int]]]:
        """The cameras in the order of their numbers, with the width and height of their pictures.

        Their number and that of lens coefficients; then of each camera: rows and columns from and to, focal lengths
        and centre, coefficients, three rows of the rotation, the shift in metres.
        """
        path = self.tree.root / "calibration.cal"
        lines = [line.split() for line in self.tree.read_text("calibration.cal").split("\n") if line.strip()]
        values = [numbers(words, path, f"line {number}") for number, words in enumerate(lines, 1)]
        count, order = (int(value) for value in values[0]) if values and len(values[0]) == 2 else (0, 0)
        widths = [4, 4, order, 3, 3, 3, 3] * count
        if not 1 <= count <= 64 or not 1 <= order <= 2 or [len(value) for value in values[1:]] != widths:
            expected = "the number of cameras, that of coefficients (1 or 2), and seven lines a camera"
            raise damaged(path, "", expected=expected, got=f"{len(lines)} lines")
        found: list[tuple[Camera, tuple[int, int]]] = []
        for first in range(1, len(values), 7):
            extent, inner, bends, *rotation, shift = values[first : first + 7]
            size = int(extent[3] - extent[2] + 1), int(extent[1] - extent[0] + 1)
            found.append(
                (camera(path, f"camera {len(found) + 1}", pinhole(*inner), rotation, 1000 * shift, bends), size)
            )
        return found

    def _video(self, subject: str, take: str, view: int) -> str:
        name = f"{take}/TC_{subject}_{take}_cam{view}.mp4"
        paths = (f"video/{subject.lower()}/{name}", f"video/{subject}/{name}")
        return next((path for path in paths if self.tree.exists(path)), "")

    def _frames(self, video: str, count: int) -> int:
        """How many lines have a picture: tracks and videos differ by a few frames."""
        if not video:
            return count
        with Video(self.tree.open(video), str(self.tree.root / video)) as film:
            if len(film) < count:
                self.notes.drop("positions after the end of the video", count - len(film))
            return min(len(film), count)
