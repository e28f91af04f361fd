"""A made-up dataset of any size, whose reader computes its samples: what is left to measure is ingestion itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from skelbridge.datasets import DatasetCard, Part, Reader, cards, clean
from skelbridge.datasets.cards import NativeFile
from skelbridge.store import Samples
from skelbridge.synthetic.scene import ring, virtual_scene

FRAMES, SIZE, SKELETON = 1000, (1000, 1000), "h36m_17"
CAMERAS = ring(2, focal=1100.0, size=SIZE)
CARD = DatasetCard(
    id="made_up", title="Made up", year=2026, kind="synthetic", citation="none", url="none", license="none",
    download="nothing", skeletons=(SKELETON,), splits=("train",), units="mm",
    files=(NativeFile(pattern="none", container="none"),),
)  # fmt: skip


class MadeUp(Reader):
    """Sequences of a virtual person before two cameras; the number of samples is the name of a file in its folder."""

    id = "made_up"
    skeletons = (SKELETON,)

    def parts(self) -> list[Part]:
        (count,) = self.tree.glob("*")
        return [Part(f"{n:05}", "train", (n,)) for n in range(int(count) // (FRAMES * len(CAMERAS)))]

    def read(self, part: Part) -> Iterator[Samples]:
        world = virtual_scene(1, FRAMES, seed=part.args[0]).joints(SKELETON)[:, 0]
        for view, camera in enumerate(CAMERAS):
            yield Samples.of(
                SKELETON, world=world, points2d=camera.project(world), camera=camera, frame=np.arange(FRAMES),
                image_size=SIZE, subject=f"S{part.args[0] % 20}", sequence=part.key, view=str(view),
                image=f"{part.key}_{view}.mp4", video_frame=np.arange(FRAMES), native=part.key,
            )  # fmt: skip


def install() -> None:
    """Make the dataset known in this process."""
    known = {**cards.datasets(), CARD.id: CARD}
    for module in (cards, clean):
        module.datasets = lambda: known  # type: ignore[attr-defined]
    sys.modules["skelbridge.datasets.made_up"] = sys.modules[__name__]
