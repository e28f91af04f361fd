"""A made-up dataset with virtual people, and its reader, which can be told to make mistakes."""

from __future__ import annotations

import io
import json
import os
import time
from typing import ClassVar

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets.cards import DatasetCard
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.skeletons import skeleton
from skelbridge.store import Samples
from skelbridge.synthetic.scene import draw, ring, virtual_scene

SIZE = (480, 360)
CAMERAS = ring(2, focal=400.0, size=SIZE)
SKELETON = "h36m_17"

CARD = DatasetCard(
    id="tiny", title="Tiny", aliases=("tiny_people",), year=2026, kind="synthetic", citation="none", url="https://example.org",
    license="CC0", download="Ask the tests.\nAll below one folder.", skeletons=(SKELETON, "coco_17"),
    splits=("train", "test"), units="mm",
    files=({"pattern": "{split}/{sequence}.npy", "container": "npy", "content": "points"},),
)  # fmt: skip


def write(root, *, sequences=4, frames=30, people=2, pictures="", seed=0):
    """Write a copy: world points (frames, people, joints, 3) of each sequence; pictures: "", "png" or "mp4"."""
    for number in range(sequences):
        split = "test" if number == sequences - 1 else "train"
        scene = virtual_scene(people, frames, seed=seed + number)
        folder = root / split
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"seq{number}.npy", scene.joints(SKELETON))
        for view, camera in enumerate(CAMERAS if pictures else ()):
            images = [draw(camera, scene, frame, SIZE)[0] for frame in range(frames)]
            _save(root / "images", f"seq{number}_{view}", images, pictures)


def _save(folder, name, images, kind):
    folder.mkdir(exist_ok=True)
    if kind == "png":
        from PIL import Image

        for frame, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{name}_{frame:03}.png")
        return
    import av

    with av.open(str(folder / f"{name}.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=20, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for image in images:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        video.mux(stream.encode())


class TinyReader(Reader):
    """Reads the made-up dataset; `fault` says what it does wrong."""

    id = "tiny"
    skeletons = (SKELETON, "coco_17")
    choices: ClassVar = {
        "fault": Choice("", "mirror, mirror_view, swap, metres, camera, order"),
        "slow": Choice(0.0, "seconds that a part takes"),
        "bad": Choice(0, "every n-th sample has a bone that is too long"),
    }

    def parts(self):
        found = self.tree.require("*/seq*.npy", "sequences")
        return [Part(path.removesuffix(".npy"), path.split("/")[0], (path,)) for path in found]

    def read(self, part):
        path = part.args[0]
        content = self.tree.read_bytes(path)
        if content == b"noise":
            raise damaged(path, "byte 17", expected="joints", got="noise")
        if content == b"death":
            os._exit(1)
        if content == b"gone":
            self.tree.open("nowhere.bin")
        time.sleep(self.settings["slow"])
        (self.tree.root / "log.txt").open("a").write(json.dumps(part.key) + "\n")
        world = np.load(io.BytesIO(content))
        people = world.shape[1]
        self.notes.drop("blinked", 1)
        self.notes.remark("the made-up dataset")
        for view, camera in enumerate(CAMERAS):
            for person in range(people):
                yield self._samples(part, world[:, person].copy(), camera, view, person)

    def _samples(self, part, world, camera, view, person):
        frames, name = np.arange(len(world)), part.key.split("/")[1]
        points, flat = camera.to_camera(world), camera.project(world)
        fault = self.settings["fault"]
        if fault == "mirror" or (fault == "mirror_view" and view == 1):
            points, flat = points * [-1, 1, 1], None
        if fault == "swap":
            points, flat = points[:, skeleton(SKELETON).mirror_index], None
        if fault == "metres":
            points, camera = points / 1000, Camera(camera.matrix, camera.rotation, np.array(camera.translation) / 1000)
        if fault == "order":
            points = points[:, np.roll(np.arange(points.shape[1]), 3)]
        if fault == "camera":
            camera = Camera(np.array(camera.matrix) * [[1.4], [1.4], [1]], camera.rotation, camera.translation)
        if self.settings["bad"]:
            points[:: self.settings["bad"], skeleton(SKELETON).index("left_wrist")] += 2000
        video = self.tree.exists(f"images/{name}_{view}.mp4")
        images = f"images/{name}_{view}.mp4" if video else [f"images/{name}_{view}_{f:03}.png" for f in frames]
        return Samples.of(
            SKELETON, points=points, points2d=flat, camera=camera, world_known=True, frame=frames, person=person,
            video_frame=frames if video else -1, image_size=SIZE, split=part.split, subject=f"S{person}",
            sequence=name, view=str(view), image=images, native=part.args[0],
        )  # fmt: skip


def install(monkeypatch):
    """Make the dataset known, as if it were one of skelbridge's."""
    import sys

    from skelbridge.datasets import cards

    known = {**cards.datasets(), "tiny": CARD}
    monkeypatch.setattr(cards, "datasets", lambda: known)
    monkeypatch.setattr("skelbridge.datasets.clean.datasets", lambda: known)
    monkeypatch.setitem(sys.modules, "skelbridge.datasets.tiny", sys.modules[__name__])
