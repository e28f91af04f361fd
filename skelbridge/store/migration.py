"""Bringing a store of an older schema up to date, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.files import damaged
from skelbridge.store import sealed
from skelbridge.store.index import SCHEMA, IndexFile, Shard, existing, read_index, shards_folder
from skelbridge.store.sealed import Column
from skelbridge.store.writer import Lock, check_shard, remove_leftovers

_PIECE = 4 * 2**20


def migrate(path: str | Path) -> int:
    """Rewrite a store of schema version 1 as one of version 2; the number of shards that were rewritten.

    Version 1 kept five distortion coefficients of a camera and no lens model; the others are 0, and the lens is
    OpenCV's. New shards are written beside the old ones, then the index is replaced in one step, then the old ones
    go. A run that was stopped leaves the old store whole, and the next one goes on where it stopped.

    Raises InputError where another writer is at work, FileFormatError for damaged files and newer versions.
    """
    path = existing(path)
    lock = Lock(path)
    try:
        file = read_index(path, versions=(1, SCHEMA))
        index = file.index
        if index.members is not None and index.schema_version < SCHEMA:
            raise InputError(f"{path}: it links stores", mend="Migrate its members, then merge them again.")
        if index.schema_version == SCHEMA:
            return 0
        new = {shard.name: _migrated(shards_folder(path), shard) for shard in index.shards}
        jobs = [job.model_copy(update={"shards": tuple(new[s.name] for s in job.shards)}) for job in index.jobs]
        index = index.model_copy(update={"schema_version": SCHEMA, "jobs": tuple(jobs)})
        IndexFile(index, {new[key].name: dropped for key, dropped in file.dropped.items()}).write(path)
        remove_leftovers(path, index)
    finally:
        lock.release()
    return len(new)


def _migrated(folder: Path, shard: Shard) -> Shard:
    """The shard in version 2, written unless a run before did so."""
    target = folder / f"{Path(shard.name).stem}-v{SCHEMA}.h5"
    try:
        seal = sealed.check(target)
    except FileFormatError:  # it is not there yet
        check_shard(folder / shard.name, shard, sealed.check)
        attributes, places = sealed.layout(folder / shard.name)
        if attributes.get("schema") != 1:
            raise damaged(
                folder / shard.name, "its schema", expected="version 1", got=attributes.get("schema")
            ) from None
        content = sealed.mapped(folder / shard.name)
        columns = {name: Column(p.dtype, p.shape, _pieces(p.view(content))) for name, p in places.items()}
        five = places["cameras/distortion"].view(content)
        columns["cameras/distortion"] = Column.of(np.pad(five, [(0, 0), (0, 8 - five.shape[1])]))
        columns["cameras/lens"] = Column.of(np.zeros(len(five), np.uint8))
        seal = sealed.write(target, {**attributes, "schema": SCHEMA}, columns)
    return shard.model_copy(update={"name": target.name, "bytes": seal.bytes, "digest": seal.digest})


def _pieces(array: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    """An array some megabytes at a time."""
    each = max(1, _PIECE * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), each):
        yield array[start : start + each]
