"""Batches for training: step k depends on the seed and k alone, whoever computes it."""

from __future__ import annotations

import itertools
import operator
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.store.batch import Batch, Gatherer, Pictures
from skelbridge.store.mixtures import Mixture, Stream, mixture
from skelbridge.store.shuffling import Shuffle, checked_shuffle, shuffled

if TYPE_CHECKING:
    from skelbridge.store.reader import Store

Rows = NDArray[np.int64]
Item = TypeVar("Item")
Made = TypeVar("Made")

#: Rows, and bytes of them, that are gathered at a time: many batches at once cost little more than one.
GROUP_ROWS, GROUP_BYTES = 32768, 32 * 2**20


@dataclass(frozen=True, eq=False)
class Queue:
    """The samples of one dataset, epoch after epoch.

    count: how many of them a batch takes. pieces: the numbers of its shards in the store; starts, (pieces,): the
    store's row that each begins at; ends, (pieces,): how many of its rows there are up to and with each.
    """

    name: str
    count: int
    starts: Rows
    ends: Rows

    def __len__(self) -> int:
        return int(self.ends[-1])

    def rows(self, places: Rows, shuffle: Shuffle | None, seed: int) -> Rows:
        """The store's rows at places (N,) of the queue."""
        epochs, inside = np.divmod(places, len(self))
        found = np.empty_like(places)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = shuffled(inside[here], len(self), shuffle, seed, self.name, int(epoch))
        piece = np.searchsorted(self.ends, found, side="right")
        before = np.concatenate([[0], self.ends[:-1]])
        return found - before[piece] + self.starts[piece]


class Batches:
    """Batches of a store, by step: `batches[k]`, `for batch in batches`, `batches.iter(start=k)`.

    Batch k depends on the seed and k alone, whatever the number of workers, so that training resumes exactly. Each
    dataset is read epoch after epoch, every epoch in a new order. It is a map-style dataset for torch's
    `DataLoader(batches, batch_size=None, num_workers=n)` as well.

    pictures="decoded" has the worker threads, or the loader's processes, decode the packed pictures beforehand.

    Without a mixture a batch is of all samples alike, and there are as many as one epoch needs, the last perhaps
    smaller; or `steps` whole ones, over as many epochs as it takes. With a mixture, `steps` or as many as show every
    sample once. With `part`, only those places of every batch are gathered.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        queues: Sequence[Queue],
        slots: Sequence[int],
        *,
        steps: int,
        last: int,
        seed: int,
        shuffle: Shuffle | None,
        workers: int,
        mixture: Mixture | None,
        part: slice = slice(None),
    ):
        self.queues, self.steps, self.seed, self.shuffle = tuple(queues), steps, seed, shuffle
        self.workers, self.mixture, self.part = workers, mixture, part
        self._gatherer, self._slots, self._last_size = gatherer, np.asarray(slots), last
        room = min(GROUP_ROWS, GROUP_BYTES // gatherer.row_bytes)
        self._group = max(1, (room // 64 if gatherer.pictures else room) // len(slots))
        self._ahead: dict[int, Batch] = {}
        self._before, self._reach = -1, 1

    @classmethod
    def of(
        cls,
        store: Store,
        size: int | None,
        *,
        seed: int,
        shuffle: str | None,
        mixture: Mixture | str | Path | None,
        renormalise: bool,
        columns: Sequence[str] | None,
        pictures: Pictures,
        steps: int | None,
        workers: int,
        part: slice = slice(None),
    ) -> Batches:
        """Batches of `size` samples, or of a mixture; see `Store.batches`."""
        if not len(store):
            raise InputError("batches of a store", expected="samples", got="none")
        seed = _whole("the seed", seed)  # the same for 1 and numpy's 1
        steps = None if steps is None else _whole("steps", steps, least=0)
        workers = _whole("workers", workers, least=0)
        mixed = None if mixture is None else _available(store, mixture, renormalise)
        if mixed is None:
            size = _whole("the size of batches, without a mixture", size, least=1)
            queues, slots = [_queue(store, "", size, list(range(len(store.pieces))))], [0] * size
        else:
            if size not in (None, mixed.size):
                raise InputError("the size of batches", expected=f"the mixture's {mixed.size}", got=size)
            queues = [_queue(store, s.dataset, s.count, _pieces(store, s)) for s in mixed.streams]
            slots = slots_of(mixed)
        epoch = max(-(-len(queue) // queue.count) for queue in queues)
        whole = mixed is not None or steps is not None
        return cls(
            Gatherer(store, columns, pictures), queues, slots, steps=epoch if steps is None else steps,
            last=len(slots) if whole else len(store) - (epoch - 1) * len(slots), seed=seed,
            shuffle=checked_shuffle(shuffle), workers=workers, mixture=mixed, part=part,
        )  # fmt: skip

    @property
    def joints(self) -> tuple[str, ...]:
        """The union's joints, which `Batch.joints` counts: format/joint."""
        return self._gatherer.store.union.names

    @property
    def size(self) -> int:
        """Samples of a whole batch."""
        return len(self._slots)

    @property
    def counts(self) -> dict[str, int]:
        """Samples of each dataset in a batch, by a mixture."""
        return {queue.name: queue.count for queue in self.queues} if self.mixture else {}

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step; IndexError below 0 and beyond the last.

        Whoever asks for every n-th step in turn, as a loader's worker does, is served ahead.
        """
        step = operator.index(step)
        if not 0 <= step < self.steps:
            raise IndexError(f"there are {self.steps} steps; {step} is not among them")
        found = self._ahead.pop(step, None)
        if found is None:
            stride = step - self._before
            steady = 0 < stride <= 64 and self._before >= 0
            self._reach = min(2 * self._reach, self._group) if steady else 1
            steps = range(step, min(self.steps, step + self._reach * stride), stride) if steady else [step]
            found, *others = self._fetch(steps)
            self._ahead = dict(zip(list(steps)[1:], others, strict=True))
        self._before = step
        return self._finished(found)

    def __iter__(self) -> Iterator[Batch]:
        return self.iter()

    def iter(self, start: int = 0) -> Iterator[Batch]:
        """The batches from a step on; with workers, threads compute the next ones meanwhile.

        Raises InputError for a step below 0; beyond the last there are none.
        """
        start = _whole("the step to go on at", start, least=0)
        groups = (range(first, min(first + self._group, self.steps)) for first in range(start, self.steps, self._group))
        if not self.workers:
            yield from map(self._finished, itertools.chain.from_iterable(map(self._fetch, groups)))
            return
        with ThreadPoolExecutor(self.workers) as pool:
            fetched = itertools.chain.from_iterable(_ahead(pool, self._fetch, groups, self.workers))
            yield from _ahead(pool, self._finished, fetched, self.workers) if self._decodes else fetched

    @property
    def _decodes(self) -> bool:
        return self._gatherer.pictures == "decoded"

    def _finished(self, batch: Batch) -> Batch:
        return batch.with_images() if self._decodes else batch

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": {}, "_before": -1, "_reach": 1}

    def _fetch(self, steps: Sequence[int]) -> list[Batch]:
        """The batches of several steps, gathered at once."""
        rows = np.empty((len(steps), len(self._slots)), np.int64)
        for number, queue in enumerate(self.queues):
            places = np.asarray(steps, np.int64)[:, None] * queue.count + np.arange(queue.count)
            rows[:, self._slots == number] = queue.rows(places.ravel(), self.shuffle, self.seed).reshape(places.shape)
        wholes = [self._last_size if step == self.steps - 1 else len(self._slots) for step in steps]
        wanted = [row[:whole][self.part] for row, whole in zip(rows, wholes, strict=True)]
        return self._gatherer.batches(np.concatenate(wanted), list(steps), list(map(len, wanted)))


def _ahead(pool: ThreadPoolExecutor, task: Callable[[Item], Made], items: Iterable[Item], count: int) -> Iterator[Made]:
    """What `task` makes of items, in their order, some of them ahead of whoever takes it."""
    pending: deque[Future[Made]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(task, item))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _whole(what: str, value: Any, least: int | None = None) -> int:
    """A whole number, not below `least`; InputError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        above = "" if least is None else f" from {least}"
        raise InputError(what, expected=f"a whole number{above}", got=repr(value))
    return number


def _queue(store: Store, name: str, count: int, pieces: list[int]) -> Queue:
    sizes = np.array([len(store.pieces[number]) for number in pieces])
    return Queue(name, count, store.starts[pieces], np.cumsum(sizes))


def _pieces(store: Store, stream: Stream) -> list[int]:
    """The numbers of the store's shards that a stream reads."""
    shards = [piece.shard for piece in store.pieces]
    return [
        number
        for number, shard in enumerate(shards)
        if shard.dataset == stream.dataset and (not stream.splits or shard.split in stream.splits)
    ]


def _available(store: Store, name: Mixture | str | Path, renormalise: bool) -> Mixture:
    """A mixture, all of whose datasets the store has; without the others if that was asked for."""
    wanted = mixture(name)
    missing = [stream for stream in wanted.streams if not _pieces(store, stream)]
    if not missing:
        return wanted
    said = [f"{s.dataset} ({', '.join(s.splits) or 'any split'})" for s in missing]
    if not renormalise:
        raise InputError(
            f"the mixture {wanted.name}: {store.path.name} lacks {len(missing)} of its {len(wanted.streams)} datasets",
            expected=", ".join(said), got=", ".join(store.datasets),
            mend="`skelbridge datasets NAME` says how to get each; ingest and merge them, or pass renormalise=True "
            "to train on the others.",
        )  # fmt: skip
    found = wanted.without({stream.dataset for stream in missing})
    counts = ", ".join(f"{stream.dataset} {stream.count}" for stream in found.streams)
    warnings.warn(f"the mixture {wanted.name} without {', '.join(said)}: {counts}", UserWarning, stacklevel=4)
    return found


def slots_of(mixed: Mixture) -> list[int]:
    """Which stream each place of a batch is for: stream after stream, those of 3D labels before the 2D ones.

    So the groups of ghost batch normalisation, which are neighbours in the batch, always hold the same datasets.
    """
    order = sorted(range(len(mixed.streams)), key=lambda number: mixed.streams[number].weak_2d)
    return [number for number in order for _ in range(mixed.streams[number].count)]
