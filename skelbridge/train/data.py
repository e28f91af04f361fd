"""The data of a training: step after step, crops with labels, the same whoever prepares them."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from skelbridge.bridge.acae import Joints
from skelbridge.errors import InputError, SkelbridgeError, need
from skelbridge.estimator.crops import Crop
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.names2d import NAMES_2D
from skelbridge.estimator.stored import COLUMNS, Blank, EvaluationData, People
from skelbridge.io import rle
from skelbridge.store import Mixture, Store, Stream
from skelbridge.store.batch import Batch
from skelbridge.train.augment import Appearance, Augmentation, Draw

__all__ = ["EvaluationData", "TrainingData", "loader"]

#: What a step gives: its examples, and how many of their pictures were missing or broken.
Step = tuple[Examples, int]
Made = TypeVar("Made")

#: Samples of each dataset of which at least one must have a picture, or training does not begin.
PROBED = 8
#: How often in a row the loader's processes may die, and how many steps each prepares ahead.
RESTARTS, AHEAD = 3, 2


class TrainingData(Dataset[Step]):
    """Examples by step: `data[k]` is (examples, broken), the latter how many pictures were missing or broken.

    store: the samples. joints: those of the network, among which a dataset's joints are found by name. side: pixels of
    a crop. batch: a mixture, or the number of examples of a step, taken from all samples alike. steps: how many there
    are. seed: of the order and the augmentation. rank, world: this process's number, and how many share every batch;
    each gets as many neighbouring places of it. renormalise: go on without datasets that the store lacks.

    An example depends on the seed, the step and its place in the batch alone. One whose picture cannot be read, or of
    which nothing tells where the person is, is black and without labels.

    Raises InputError where a 3D dataset's format is none of the network's, a 2D dataset labels nothing of use, a batch
    cannot be divided among the processes, or none of a dataset's pictures can be read.
    """

    def __init__(
        self,
        store: Store,
        joints: Joints,
        side: int,
        batch: Mixture | str | Path | int,
        *,
        steps: int,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        rank: int = 0,
        world: int = 1,
        renormalise: bool = False,
    ):
        given: dict[str, Any] = {"size": batch} if isinstance(batch, int) else {"mixture": batch}
        options: dict[str, Any] = {"seed": seed, "steps": steps, "columns": (), "renormalise": renormalise}
        whole = store.batches(**given, **options)
        self.store, self.seed, self.augmentation = store, seed, augmentation
        self.people = People(store, joints, side)
        self.batch = whole.size
        streams = whole.mixture.streams if whole.mixture else _as_streams(store, self.batch)
        self.deep = whole.mixture.batch_3d if whole.mixture else self.batch * (not streams[0].weak_2d)
        for stream in streams:
            self._check(stream)
        self.part = _share(self.batch, rank, world)
        given = {"mixture": whole.mixture} if whole.mixture else given
        columns = [name for name in COLUMNS if name != "points2d" or self.deep < self.batch]
        self.batches = store.batches(**given, **{**options, "columns": columns}, pictures=True, part=self.part)
        self._appearance = Appearance(augmentation).checked() if augmentation else None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Step:
        batch, people = self.batches[step], self.people
        deep = min(max(self.deep - self.part.start, 0), len(batch))
        made = Blank.of(len(batch), deep, people.side, len(people.joints))
        broken = 0
        for row in range(len(batch)):
            draw = Draw(self.seed, step, self.part.start + row)
            crop = self._crop(batch, row, draw, row < deep)
            image = None if crop is None else self._image(batch, row, crop, draw)
            if crop is None or image is None:
                broken += 1
                continue
            made.put(row, crop, image)
            if row < deep:
                made.points[row] = people.points(batch, row, crop)
            else:
                made.points2d[row - deep] = people.points2d(batch, row, crop)
        return made.examples(np.arange(self.part.start, self.part.stop)), broken

    def _crop(self, batch: Batch, row: int, draw: Draw, deep: bool) -> Crop | None:
        move = vars(self.augmentation.geometry(draw)) if self.augmentation else {}
        return self.people.crop(batch, row, unknown="none" if deep else "flat", **move)

    def _image(self, batch: Batch, row: int, crop: Crop, draw: Draw) -> NDArray[np.uint8] | None:
        """What a crop shows, augmented; None where the picture cannot be read."""
        image = self.people.image(batch, row, crop, self.augmentation.finer if self.augmentation else 1)
        if image is None or self.augmentation is None or self._appearance is None:
            return image
        if self.augmentation.background_chance(batch.datasets[batch.dataset[row]], draw):
            mask = self._mask(batch, row, crop)
            image = image if mask is None else self._appearance.with_background(image, mask, draw)
        return self._appearance(image, draw)

    def _mask(self, batch: Batch, row: int, crop: Crop) -> NDArray[np.uint8] | None:
        """The person's pixels of a crop as 255, None where they are not known."""
        code = self.store[int(batch.rows[row])].mask
        if code is None:
            return None
        return crop.warp(rle.decode(code, batch.image_size[row].tolist()).astype(np.uint8) * 255)

    def _check(self, stream: Stream) -> None:
        """Whether the network can learn from a dataset, before anything starts."""
        words: dict[str, Any] = {"dataset": stream.dataset}
        if stream.splits:
            words["split"] = set(stream.splits) & set(self.store.splits[stream.dataset])
        chosen = self.store.select(**words)
        for card in chosen.skeletons:
            places = (self.people.flat if stream.weak_2d else self.people.deep)[self.store.skeletons.index(card)]
            if stream.weak_2d and (places < 0).all():
                raise InputError(f"2D labels of {stream.dataset}", expected=f"some of {', '.join(NAMES_2D)}", got=card)
            if not stream.weak_2d and (places[: len(card)] < 0).any():
                raise InputError(
                    f"the skeleton format {card} of {stream.dataset}",
                    expected=f"one of the network's: {', '.join(self.people.joints.slices)}", got="none of them",
                    mend="Add it to the network's formats, or leave the dataset out of the mixture.",
                )  # fmt: skip
        self._probe(stream, chosen)

    def _probe(self, stream: Stream, chosen: Store) -> None:
        """Whether some picture of a dataset can be read."""
        some = chosen.only(np.linspace(0, len(chosen) - 1, min(PROBED, len(chosen))).astype(int))
        batch = some.batches(len(some), shuffle=None, columns=COLUMNS, pictures=True)[0]
        crops = [self.people.crop(batch, row, unknown="flat" if stream.weak_2d else "none") for row in range(len(some))]
        if not any(crop and self.people.image(batch, row, crop) is not None for row, crop in enumerate(crops)):
            placed = sum(crop is not None for crop in crops)
            also = "" if stream.weak_2d else ", and cameras"
            raise InputError(
                f"{stream.dataset}: {len(some)} of its samples",
                expected=f"pictures that can be read, boxes around people{also}",
                got=f"{placed} with a place in the picture, none with a picture" if placed else "none that says where",
                mend="Pack the pictures when it is ingested, or put its folder back where it was then.",
            )  # fmt: skip


def loader(data: Dataset[Made], workers: int, start: int = 0) -> Iterator[Made]:
    """`data[start]`, `data[start + 1]` ... to the end, prepared by `workers` processes ahead of time, 0: by this one.

    Processes that die are started anew at the step that is due, with a warning. Raises SkelbridgeError where that
    happens more than three times in a row.
    """
    step, failures, end = start, 0, len(data)  # type: ignore[arg-type]
    while step < end:
        try:
            for made in _steps(data, workers, range(step, end)):
                yield made
                step, failures = step + 1, 0
        except RuntimeError as error:
            if "DataLoader worker" not in str(error) or isinstance(error, SkelbridgeError):
                raise
            failures += 1
            if failures > RESTARTS:
                raise SkelbridgeError(
                    f"the processes that prepare examples died {failures} times in a row at step {step}", got=error,
                    mend="Memory, or shared memory (/dev/shm), may be too small: try fewer of them.",
                ) from error  # fmt: skip
            warnings.warn(f"a process that prepares examples died at step {step}; started anew", stacklevel=2)


def _steps(data: Dataset[Made], workers: int, steps: range) -> Iterator[Made]:
    """Some steps through torch's loader."""
    found = DataLoader(
        data, batch_size=None, sampler=steps, num_workers=workers, collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(), worker_init_fn=_begin_worker if workers else None,
        prefetch_factor=AHEAD if workers else None, persistent_workers=workers > 0,
    )  # fmt: skip
    with _deaths_told_later():
        yield from iter(found)


@contextmanager
def _deaths_told_later() -> Iterator[None]:
    """Let a worker's death be found when its step is asked for: torch's signal handler would raise anywhere."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    torch.utils.data._utils.signal_handling._set_SIGCHLD_handler()  # it is set once, so now rather than later
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def _begin_worker(_: int) -> None:
    """A worker computes on one core, and leaves an interrupt from the keyboard to the training."""
    torch.set_num_threads(1)
    need("cv2", "train").setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_it_is(made: Made) -> Made:
    return made


def _as_streams(store: Store, size: int) -> tuple[Stream, ...]:
    """All datasets of a store, of which a batch takes samples alike: all must have 3D labels, or none."""
    flat = {
        name: not any(piece.mapped.has("points") for piece in store.pieces if piece.shard.dataset == name)
        for name in store.datasets
    }
    if len(set(flat.values())) > 1:
        raise InputError(
            "a batch of 3D and 2D labels", expected="a mixture", got=f"{size} of all samples alike",
            mend="Say how many examples of each dataset a batch has: see skelbridge.store.Mixture.",
        )  # fmt: skip
    return tuple(Stream(dataset=name, count=size, weak_2d=flat[name]) for name in store.datasets)


def _share(batch: int, rank: int, world: int) -> slice:
    """The places of a batch that are one process's."""
    if not 0 <= rank < world or batch % world:
        raise InputError(
            f"process {rank} of {world}", expected=f"a number of processes that divides the {batch} examples of a batch"
        )
    size = batch // world
    return slice(rank * size, (rank + 1) * size)
