"""Opening a store: from its index, and those of the stores that it links, to a view of their samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from skelbridge.io.files import damaged
from skelbridge.skeletons import Skeleton
from skelbridge.store.index import Dropped, Index, IndexFile, Shard, existing, read_index, shards_folder
from skelbridge.store.reader import Piece, Store
from skelbridge.store.shard import File


def open_store(path: str | Path, *, dropped: bool = False) -> Store:
    """Open a store, or stores that were merged.

    dropped: show the samples that cleaning left out as well.
    Raises FileFormatError where a file is missing, damaged, of another version, or not what it was when merged.
    """
    path = existing(path)
    file = read_index(path)
    reasons: Counter[str] = Counter()
    pieces = []
    for leaf in leaves(path, file):
        piece = Piece(leaf.key, File(leaf.path, leaf.shard), leaf.card, leaf.root, leaf.reader)
        out = np.zeros(leaf.shard.rows, bool)
        for names, each in leaf.dropped:
            codes = np.where(out, -1, each.by_row(leaf.shard.rows))  # a row that is out already has its reason
            reasons.update({names[code]: int(n) for code, n in enumerate(np.bincount(codes[codes >= 0])) if n})
            out |= codes >= 0
        pieces.append(piece.showing(~out) if out.any() and not dropped else piece)
    settings = file.index.cleaning.settings if file.index.cleaning else {}
    return Store(path, [piece for piece in pieces if len(piece)], reasons, settings)


@dataclass(frozen=True)
class Leaf:
    """A shard of a store or of one that it links, and what indexes on the way leave out of it."""

    key: str
    path: Path
    shard: Shard
    card: Skeleton
    root: str
    reader: int
    dropped: tuple[tuple[tuple[str, ...], Dropped], ...]


def leaves(path: Path, file: IndexFile) -> Iterator[Leaf]:
    """The shards of a store, those of linked stores included, in order."""
    reasons = file.index.cleaning.reasons if file.index.cleaning else ()
    if file.index.members is None:
        card, folder = file.index.card(), shards_folder(path)
        found = (
            Leaf(s.name, folder / s.name, s, card, file.index.root, file.index.reader, ()) for s in file.index.shards
        )
    else:
        found = (
            replace(leaf, key=f"{number}/{leaf.key}")
            for number, (where, member) in enumerate(members(path, file.index))
            for leaf in leaves(where, member)
        )
    for leaf in found:
        if (leaf.shard.skeleton, leaf.shard.joints) != (str(leaf.card), len(leaf.card)):
            raise damaged(path, leaf.key, expected=f"{leaf.card}, {len(leaf.card)} joints", got=leaf.shard.skeleton)
        own = file.dropped.get(leaf.key)
        if own is not None:
            if not own.fits(leaf.shard.rows, len(reasons)):
                raise damaged(path, f"dropped/{leaf.key}", expected=f"a mask of {leaf.shard.rows} rows", got="another")
            leaf = replace(leaf, dropped=(*leaf.dropped, (reasons, own)))
        yield leaf


def members(path: Path, index: Index) -> Iterator[tuple[Path, IndexFile]]:
    """The stores that one links; FileFormatError where one is missing or holds other samples than before."""
    for member in index.members or ():
        where = path.parent / member.path
        if not where.is_file():
            raise damaged(
                path, f"its member {member.path}", expected="a store", got="no such file",
                mend="Move it back: members keep their place relative to this file. Or merge again.",
            )  # fmt: skip
        found = read_index(where)
        if found.index.content != member.content:
            raise damaged(
                path, f"its member {member.path}", expected="the samples that were merged",
                got="others: ingested since", mend="Merge again: skelbridge merge.",
            )  # fmt: skip
        yield where, found
