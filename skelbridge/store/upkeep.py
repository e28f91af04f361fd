"""Looking after a store: rows to leave out, and whether every byte is still what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError, SkelbridgeError
from skelbridge.store import sealed
from skelbridge.store.index import Cleaning, Dropped, IndexFile, existing, read_index, shards_folder, store_path
from skelbridge.store.opening import leaves, open_store
from skelbridge.store.reader import Store
from skelbridge.store.shard import File, Mapped
from skelbridge.store.writer import Lock, check_shard, leftovers


def set_dropped(
    path: str | Path,
    reasons: Mapping[str, ArrayLike | Mapping[str, ArrayLike]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Leave samples out of a store from now on, in place of those left out before; only its index is rewritten.

    reasons: for each reason either rows (N,) of `open_store(path, dropped=True)`, or for each shard's key (`Piece.key`)
    a mask over all its rows. A row with several reasons has the first. settings: those of the cleaning, plain values.
    Samples that a linked store leaves out stay out. Raises InputError for masks of another size and unknown keys.
    """
    path = existing(path)
    if len(reasons) > 255:
        raise InputError("reasons to leave samples out", expected="at most 255", got=len(reasons))
    lock = Lock(path)
    try:
        file = read_index(path)
        store = open_store(path, dropped=True)
        codes: dict[str, NDArray[np.int16]] = {}
        for code, given in enumerate(reasons.values()):
            for key, mask in _masks(store, given):
                known = codes.setdefault(key, np.full(len(mask), -1, np.int16))
                known[mask & (known < 0)] = code
        cleaning = Cleaning(reasons=tuple(reasons), settings=dict(settings or {}))
        dropped = {key: Dropped.of(each) for key, each in codes.items() if (each >= 0).any()}
        IndexFile(file.index.model_copy(update={"cleaning": cleaning}), dropped).write(path)
    finally:
        lock.release()


def _masks(store: Store, given: ArrayLike | Mapping[str, ArrayLike]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Rows to leave out, as a mask for each shard concerned."""
    if isinstance(given, Mapping):
        rows = {piece.key: piece.shard.rows for piece in store.pieces}
        for key, mask in given.items():
            array = np.asarray(mask, bool)
            if array.shape != (rows.get(key),):
                raise InputError(f"the mask of {key}", expected=f"shape ({rows.get(key, 'no such shard')},)",
                                 got=array.shape)  # fmt: skip
            yield key, array
        return
    for piece in store.only(np.asarray(given)).pieces:
        assert piece.kept is not None
        yield piece.key, np.unpackbits(piece.kept, count=piece.shard.rows).astype(bool)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file of a store."""

    path: Path
    what: str


def verify(path: str | Path) -> list[Problem]:
    """Read every byte of a store and of those that it links; lists what is damaged, missing or left over."""
    return _problems(store_path(path), (Path(path).resolve(),))


def _problems(path: Path, above: tuple[Path, ...]) -> list[Problem]:
    """As `verify`; above: the stores on the way to this one."""
    try:
        file = read_index(path)
    except SkelbridgeError as error:
        return [Problem(path, str(error))]
    found = []
    for shard in file.index.shards:
        place = shards_folder(path) / shard.name
        try:
            check_shard(place, shard, sealed.check)
            _ = Mapped(File(place, shard))
        except SkelbridgeError as error:
            found.append(Problem(place, str(error)))
    for place in leftovers(path, file.index):
        found.append(Problem(place, f"{place}: not in the index; what a killed run left goes when the next one begins"))
    for member in file.index.members or ():
        inside = path.parent / member.path
        if inside.resolve() in above:
            return [Problem(path, f"{path}: it links itself, by {member.path}")]
        found += _problems(inside, (*above, inside.resolve()))
    if not found and file.index.members is not None:
        try:
            list(leaves(path, file))
        except SkelbridgeError as error:
            found.append(Problem(path, str(error)))
    return found
