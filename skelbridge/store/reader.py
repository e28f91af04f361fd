"""Reading a store: a view of samples that opens its shards when they are looked at."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError, UnknownNameError, nearest
from skelbridge.skeletons import Skeleton
from skelbridge.store.index import Shard
from skelbridge.store.samples import Samples
from skelbridge.store.schema import WORDS, Sample
from skelbridge.store.shard import File, Mapped, opened, released

if TYPE_CHECKING:
    from skelbridge.store.batch import Pictures
    from skelbridge.store.batches import Batches
    from skelbridge.store.mixtures import Mixture

Rows = NDArray[np.int64]

#: What a shard says of all its samples.
_OF_SHARDS = ("dataset", "split", "skeleton")


@dataclass(frozen=True, eq=False)
class Piece:
    """The part of one shard that a store shows.

    key: names the shard in the store. card: its skeleton. root: the dataset's folder. reader: its reader's version.
    kept: a bit for each row of the shard, set for those shown; None where all are.
    """

    key: str
    file: File
    card: Skeleton
    root: str
    reader: int = 0
    kept: NDArray[np.uint8] | None = None

    @property
    def shard(self) -> Shard:
        """What the index says of the shard."""
        return self.file.shard

    @property
    def mapped(self) -> Mapped:
        """The shard in memory."""
        return opened(self.file)

    @cached_property
    def _count(self) -> int:
        return self.shard.rows if self.kept is None else int(np.unpackbits(self.kept).sum())

    def __len__(self) -> int:
        return self._count

    def rows(self, places: Rows | None = None) -> Rows:
        """The rows in the shard of those shown, or of some of them by their place in the piece."""
        if self.kept is None:
            return np.arange(self.shard.rows) if places is None else places
        shown = np.flatnonzero(np.unpackbits(self.kept, count=self.shard.rows))
        return shown if places is None else shown[places]

    def showing(self, mask: NDArray[np.bool_]) -> Piece:
        """Only those of the rows shown that are in a mask over all rows of the shard."""
        bits = np.packbits(mask)
        return replace(self, kept=bits if self.kept is None else self.kept & bits)

    def samples(self, places: Rows | slice) -> Samples:
        """Some of the samples, by their place in the piece."""
        if self.kept is None and isinstance(places, slice):
            return self.mapped.samples(places, self.card)
        return self.mapped.samples(self.rows(np.arange(len(self))[places]), self.card)

    def column(self, name: str) -> NDArray[Any]:
        """One column of the samples shown, as `Samples` has it."""
        return self.mapped.numbers(name, slice(None) if self.kept is None else self.rows())


@dataclass(frozen=True)
class Union:
    """The joints of several skeletons in one list, as format/joint, and where each skeleton's are in it."""

    names: tuple[str, ...]
    places: Mapping[str, NDArray[np.int32]]

    @classmethod
    def of(cls, cards: Iterable[Skeleton]) -> Union:
        names: list[str] = []
        places: dict[str, NDArray[np.int32]] = {}
        for card in cards:
            places[str(card)] = np.arange(len(names), len(names) + len(card), dtype=np.int32)
            names += [f"{card}/{joint}" for joint in card.names]
        return cls(tuple(names), places)

    def __len__(self) -> int:
        return len(self.names)


class Store:
    """Samples of a store, or those of them that were selected; `open_store` makes one.

    `store[i]` is a `Sample`; `store[a:b]` and `store[indices]` are `Samples`; `len(store)` is their number. A store
    goes to other processes by pickle or fork; files are opened where they are looked at. It shows what was committed
    when it was opened.

    pieces: the shards, each with the rows shown. path: the index. settings: those of the cleaning, if any.
    """

    def __init__(self, path: Path, pieces: Sequence[Piece], dropped: Counter[str], settings: Mapping[str, Any]):
        self.path, self.pieces, self._dropped = path, tuple(pieces), dropped
        self.settings = dict(settings)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The row that each piece begins at, and the number of all."""
        return np.cumsum([0, *map(len, self.pieces)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __repr__(self) -> str:
        return f"<Store {self.path.name}: {len(self):,} samples of {', '.join(self.datasets) or 'no dataset'}>"

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that it shows samples of."""
        return tuple(dict.fromkeys(piece.shard.dataset for piece in self.pieces))

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The splits of each dataset."""
        return {
            name: tuple(dict.fromkeys(p.shard.split for p in self.pieces if p.shard.dataset == name))
            for name in self.datasets
        }

    @cached_property
    def skeletons(self) -> tuple[Skeleton, ...]:
        """The skeletons of its samples, each once."""
        return tuple({str(piece.card): piece.card for piece in self.pieces}.values())

    @property
    def skeleton(self) -> Skeleton:
        """The one skeleton of its samples; InputError where there are several, or none."""
        if len(self.skeletons) != 1:
            raise InputError(
                f"the skeleton of {self.path.name}", expected="one", got=", ".join(map(str, self.skeletons)) or "none",
                mend="Select one by skeleton= or dataset=.",
            )  # fmt: skip
        return self.skeletons[0]

    @cached_property
    def union(self) -> Union:
        """All its skeletons' joints in one list."""
        return Union.of(self.skeletons)

    def reasons(self) -> dict[str, int]:
        """Why samples of the store were left out, and how many, whatever is selected."""
        return dict(self._dropped)

    def __getitem__(self, rows: Any) -> Any:
        """A `Sample` for a number; `Samples` for a slice, numbers or a mask (N,), which must be of one skeleton.

        Numbers below 0 count from the end. Raises IndexError for rows that are not there, TypeError and InputError for
        what is no row, InputError for rows of several skeletons.
        """
        if isinstance(rows, slice):
            return self._samples(np.arange(*rows.indices(len(self))))
        if isinstance(rows, Sequence | np.ndarray):
            return self._samples(self._checked(np.asarray(rows)))
        row = operator.index(rows)
        if isinstance(rows, bool) or not -len(self) <= row < len(self):
            raise IndexError(f"{self.path.name} has {len(self)} samples; there is no {rows} among them")
        return self._sample(row % len(self))

    def __iter__(self) -> Iterator[Sample]:
        for row in range(len(self)):
            yield self._sample(row)

    def blocks(self, rows: int = 4096) -> Iterator[Samples]:
        """All samples, up to `rows` at a time; each block is of one shard, so of one dataset, split and skeleton."""
        for piece in one_by_one(self.pieces):
            for start in range(0, len(piece), rows):
                yield piece.samples(slice(start, min(start + rows, len(piece))))

    def select(self, **words: str | Iterable[str]) -> Store:
        """Only the samples whose dataset, split, skeleton or text (`TEXT`) is the word, or one of the words, given.

        Dataset, split and skeleton cost nothing. Raises UnknownNameError, with the nearest, for a column or a word that
        no sample has, InputError for what is no text.
        """
        pieces = list(self.pieces)
        for name, value in words.items():
            if name not in (*_OF_SHARDS, *WORDS):
                raise UnknownNameError(
                    f"samples have no {name!r} to select by", expected=f"one of {', '.join((*_OF_SHARDS, *WORDS))}"
                )
            wanted = _words(name, value)
            if name in _OF_SHARDS:
                known = {getattr(piece.shard, name) for piece in pieces}
                kept = [piece for piece in pieces if getattr(piece.shard, name) in wanted]
            else:
                known, kept = _with_words(pieces, name, wanted)
            if strange := sorted(wanted - known):
                close = ", ".join(nearest(strange[0], known) or sorted(known)[:5])
                raise UnknownNameError(
                    f"{self.path.name} has no {name} {strange[0]!r}",
                    expected=f"one such as {close}" if known else None, got=None if known else "no samples",
                )  # fmt: skip
            pieces = kept
        return self._with(pieces)

    def only(self, rows: ArrayLike) -> Store:
        """Only some rows, numbers (N,), in the store's own order."""
        chosen = np.unique(self._checked(np.asarray(rows)))
        found = []
        for number, places in self.by_piece(chosen):
            piece = self.pieces[number]
            mask = np.zeros(piece.shard.rows, bool)
            mask[piece.rows(places)] = True
            found.append(piece.showing(mask))
        return self._with(found)

    def words(self, name: str) -> list[str]:
        """The words that occur in a text column, or the datasets, splits or skeletons, in the order of the files."""
        if name in _OF_SHARDS:
            return list(dict.fromkeys(getattr(piece.shard, name) for piece in self.pieces))
        if name not in WORDS:
            raise UnknownNameError(f"samples have no column {name!r}", expected=f"one of {', '.join(WORDS)}")
        found: dict[str, None] = {}
        for piece in self.pieces:
            codes = piece.mapped.column(f"text/{name}")
            used = np.unique(codes if piece.kept is None else codes[piece.rows()])
            found.update(dict.fromkeys(piece.mapped.entries(name, used)))
        return list(found)

    def where(self, rows: ArrayLike) -> tuple[NDArray[np.intp], Rows]:
        """The shard (its number in `shards`) of rows (N,), and the row in that shard."""
        rows = self._checked(np.asarray(rows))
        numbers, found = np.empty(len(rows), np.intp), np.empty(len(rows), np.int64)
        order = np.argsort(rows, kind="stable")
        start = 0
        for number, places in self.by_piece(rows[order]):
            part = order[start : start + len(places)]
            numbers[part], found[part] = number, self.pieces[number].rows(places)
            start += len(places)
        return numbers, found

    def batches(
        self,
        size: int | None = None,
        *,
        seed: int = 0,
        shuffle: str | None = "chunks",
        mixture: Mixture | str | None = None,
        renormalise: bool = False,
        columns: Sequence[str] | None = None,
        pictures: Pictures = False,
        steps: int | None = None,
        workers: int = 0,
        part: slice = slice(None),
    ) -> Batches:
        """Batches for training; see `skelbridge.store.batches.Batches`."""
        from skelbridge.store.batches import Batches

        return Batches.of(
            self, size, seed=seed, shuffle=shuffle, mixture=mixture, renormalise=renormalise, columns=columns,
            pictures=pictures, steps=steps, workers=workers, part=part,
        )  # fmt: skip

    def _with(self, pieces: Iterable[Piece]) -> Store:
        return Store(self.path, [piece for piece in pieces if len(piece)], self._dropped, self.settings)

    def _checked(self, rows: NDArray[Any]) -> Rows:
        if rows.dtype == bool and rows.shape == (len(self),):
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise InputError("rows of a store", expected="whole numbers (N,)", got=f"{rows.dtype} {rows.shape}")
        strange = (rows < -len(self)) | (rows >= len(self))
        if strange.any():
            raise IndexError(f"{self.path.name} has {len(self)} samples; there is no {rows[strange][0]} among them")
        rows = rows.astype(np.int64)
        return np.where(rows < 0, rows + len(self), rows)

    def by_piece(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Ascending rows (N,) as the numbers of their pieces and their places in each."""
        numbers = np.searchsorted(self.starts, rows, side="right") - 1
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        for part in np.split(np.arange(len(rows)), cuts) if len(rows) else []:
            number = int(numbers[part[0]])
            yield number, rows[part] - self.starts[number]

    def _samples(self, rows: Rows) -> Samples:
        order = np.argsort(rows, kind="stable")
        blocks = [self.pieces[number].samples(places) for number, places in self.by_piece(rows[order])]
        if not blocks:
            _ = self.skeleton  # one, or it is an error
            return self.pieces[0].samples(slice(0))
        for block in blocks:
            if str(block.skeleton) != str(blocks[0].skeleton):
                raise InputError(
                    "samples of a store", expected="rows of one skeleton",
                    got=f"{blocks[0].skeleton}, {block.skeleton}", mend="Select by skeleton=, or take `batches`.",
                )  # fmt: skip
        joined = Samples.joined(_alike(blocks)) if len(blocks) > 1 else blocks[0]
        return joined if np.array_equal(order, np.arange(len(order))) else joined[np.argsort(order)]

    def _sample(self, row: int) -> Sample:
        ((number, places),) = self.by_piece(np.array([row]))
        piece = self.pieces[number]
        one = piece.samples(places)
        numbers: dict[str, Any] = {
            **{name: getattr(one, name)[0] for name in ("visibility", "image_size", "box", "crop")},
            **{name: int(getattr(one, name)[0]) for name in ("frame", "person", "video_frame")},
        }
        return Sample.model_construct(
            row=row, dataset=piece.shard.dataset, root=piece.root, skeleton=piece.card,
            points=None if one.points is None else one.points[0],
            points2d=None if one.points2d is None else one.points2d[0],
            camera=one.cameras[one.camera[0]] if one.camera[0] >= 0 else None, world_known=bool(one.world_known[0]),
            mask=one.masks[0], picture=one.pictures[0], reader=piece.reader,
            **numbers,
            **{name: column[0] for name, column in one.text.items()},
        )  # fmt: skip


def one_by_one(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Shards in order; each is let go of when the next is asked for, so that memory does not grow with what is read."""
    for piece in pieces:
        yield piece
        released(piece.file)


def _alike(blocks: list[Samples]) -> list[Samples]:
    """Blocks of which all or none have 3D and given 2D points: what some lack is NaN there."""

    def filled(block: Samples, name: str, dims: int) -> NDArray[np.float32] | None:
        given: NDArray[np.float32] | None = getattr(block, name)
        if given is None and any(getattr(each, name) is not None for each in blocks):
            return np.full((*block.visibility.shape, dims), np.nan, np.float32)
        return given

    return [replace(b, points=filled(b, "points", 3), points2d=filled(b, "points2d", 2)) for b in blocks]


def _words(name: str, value: str | Iterable[str]) -> set[str]:
    """A word, or words, to select by."""
    wanted = {value} if isinstance(value, str) else set(value) if isinstance(value, Iterable) else {value}
    if strange := [word for word in wanted if not isinstance(word, str)]:
        raise InputError(f"the {name} to select", expected="a word or words", got=repr(strange[0]))
    return wanted


def _with_words(pieces: Iterable[Piece], name: str, wanted: set[str]) -> tuple[set[str], list[Piece]]:
    """All words of a text column, and the pieces with only the rows that say one of those wanted."""
    known: set[str] = set()
    kept = []
    for piece in pieces:
        column, entries = piece.mapped.column(f"text/{name}"), piece.mapped.entries(name)
        shown = column if piece.kept is None else column[piece.rows()]
        piece.mapped.check_codes(name, shown, len(entries))
        known.update(entries[code] for code in np.flatnonzero(np.bincount(shown)))
        codes = [code for code, word in enumerate(entries) if word in wanted]
        if codes:
            kept.append(piece.showing(np.isin(column, codes)))
    return known, kept
