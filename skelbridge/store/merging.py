"""Merging stores: a small file that links their indexes, and a plan of what the union will be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton
from skelbridge.store import sealed
from skelbridge.store.index import SCHEMA, Index, IndexFile, Member, read_index, same_joints, store_path
from skelbridge.store.opening import leaves, members, open_store
from skelbridge.store.reader import Store
from skelbridge.store.writer import Lock, check_shard

#: Joints of two formats are said to be at the same place up to here, mm on a body of 1.7 m.
SAME_PLACE = 1.0


def merge(paths: Sequence[str | Path], out: str | Path) -> Store:
    """Write a file that links stores, which then open as one; no samples are copied.

    Paths are kept relative to the new file, so that all can be moved together. An older file of links is replaced.

    Raises InputError for stores or samples listed twice, formats of one name but different joints, and an `out` that
    holds samples of its own or is among what is linked; FileFormatError for members that are missing or damaged (their
    shards are looked at, not read through).
    """
    out, stores = store_path(out), _distinct(paths)
    if out.resolve() in {place for path in stores for place in _linked(path)}:
        raise InputError("the file to merge into", expected="a new file", got=f"the member {out}")
    if out.exists() and read_index(out).index.members is None:
        raise InputError(
            f"{out}", expected="a new file, or one that links stores", got="a store with samples of its own"
        )
    index = Index(schema_version=SCHEMA, members=tuple(_member(path, out) for path in stores))
    _cards(stores)
    lock = Lock(out)
    try:
        IndexFile(index).write(out)
    finally:
        lock.release()
    return open_store(out)


def _distinct(paths: Sequence[str | Path]) -> list[Path]:
    stores = [store_path(path) for path in paths]
    if not stores:
        raise InputError("stores to merge", expected="at least one", got="none")
    twice = [path for path, n in Counter(path.resolve() for path in stores).items() if n > 1]
    if twice:
        raise InputError("stores to merge", expected="each once", got=f"{twice[0]} twice")
    return stores


def _linked(path: Path) -> Iterator[Path]:
    """Where a store's index lies, and those of the stores that it links."""
    yield path.resolve()
    for where, _ in members(path, read_index(path).index):
        yield from _linked(where)


def _member(path: Path, out: Path) -> Member:
    index = read_index(path).index
    rows = sum(shard.rows for shard in index.shards) + sum(member.rows for member in index.members or ())
    try:
        where = os.path.relpath(path.resolve(), out.resolve().parent)
    except ValueError:  # another drive
        where = str(path.resolve())
    return Member(path=Path(where).as_posix(), content=index.content, rows=rows)


def _cards(stores: Sequence[Path]) -> list[Skeleton]:
    """The skeletons of stores that can be merged, each once; InputError and FileFormatError where they cannot be."""
    found: dict[str, Skeleton] = {}
    holders: dict[str, Path] = {}
    for path in stores:
        for leaf in leaves(path, read_index(path)):
            same_joints(found.setdefault(str(leaf.card), leaf.card), leaf.card)
            check_shard(leaf.path, leaf.shard, sealed.head)
            if (other := holders.setdefault(leaf.shard.digest, path)) != path:
                raise InputError("stores to merge", expected="each sample once", got=f"the same in {other} and {path}")
    return list(found.values())


@dataclass(frozen=True)
class Namesake:
    """A joint name that two formats have: how far apart their places are, mm on a body of 1.7 m; None: not said."""

    joint: str
    first: str
    second: str
    apart: float | None


@dataclass(frozen=True)
class Plan:
    """What a merged store will be.

    joints: for every joint of the union (format/joint) the samples of each dataset that has it.
    samples: for every dataset and split how many. licenses: each dataset's, "" where it was not said.
    disk: bytes of the members' files; link: bytes of the linking file, about. namesakes: names that formats share.
    """

    joints: dict[str, dict[str, int]]
    samples: dict[str, dict[str, int]]
    licenses: dict[str, str]
    disk: int
    link: int
    namesakes: tuple[Namesake, ...]
    units: str = "mm in 3D, pixels in 2D"

    def lines(self) -> Iterator[str]:
        """The plan as lines of text."""
        total = sum(n for splits in self.samples.values() for n in splits.values())
        yield f"{total:,} samples of {len(self.samples)} datasets, {len(self.joints)} joints; {self.units}"
        yield f"disk: {self.disk / 1e6:,.1f} MB in the members, about {self.link / 1e3:,.1f} kB for the file of links"
        yield ""
        for name, splits in self.samples.items():
            listed = ", ".join(f"{split or 'no split'} {n:,}" for split, n in splits.items())
            yield f"{name}: {listed}"
        yield ""
        yield "licences of the union (all of them hold):"
        for name, license in self.licenses.items():
            yield f"  {name}: {license or 'not said'}"
        yield ""
        yield "joints, and the samples of each dataset that come with them:"
        for joint, counts in self.joints.items():
            yield f"  {joint}: {', '.join(f'{name} {n:,}' for name, n in counts.items())}"
        yield ""
        yield from self._name_lines()

    def _name_lines(self) -> Iterator[str]:
        if not self.namesakes:
            yield "no two formats share a joint name"
            return
        apart = [pair for pair in self.namesakes if pair.apart is None or pair.apart > SAME_PLACE]
        yield (
            f"joint names that two formats share: {len(self.namesakes)}, of which {len(self.namesakes) - len(apart)} "
            f"at the same place; the others stay joints of their own:"
        )
        for pair in sorted(apart, key=lambda pair: -(pair.apart or 0)):
            far = "place not said" if pair.apart is None else f"{pair.apart:.0f} mm apart"
            yield f"  {pair.joint}: {pair.first} and {pair.second}, {far}"


def plan(paths: Sequence[str | Path], licenses: Mapping[str, str] | None = None) -> Plan:
    """What merging stores will give, joint by joint; nothing is written. licenses: of the datasets, by id.

    Raises as `merge`.
    """
    stores = _distinct(paths)
    cards = _cards(stores)
    samples: dict[str, Counter[str]] = {}
    of_card: dict[str, Counter[str]] = {str(card): Counter() for card in cards}
    disk = 0
    for path in stores:
        disk += path.stat().st_size + sum(leaf.path.stat().st_size for leaf in leaves(path, read_index(path)))
        for piece in open_store(path).pieces:
            samples.setdefault(piece.shard.dataset, Counter())[piece.shard.split] += len(piece)
            of_card[str(piece.card)][piece.shard.dataset] += len(piece)
    return Plan(
        joints={f"{card}/{joint}": dict(of_card[str(card)]) for card in cards for joint in card.names},
        samples={name: dict(splits) for name, splits in samples.items()},
        licenses={name: (licenses or {}).get(name, "") for name in samples},
        disk=disk,
        link=3000 + 150 * len(stores),
        namesakes=tuple(_namesakes(cards)),
    )


def _namesakes(cards: Sequence[Skeleton]) -> Iterator[Namesake]:
    places = {str(card): _places(card) for card in cards}
    for number, first in enumerate(cards):
        for second in cards[number + 1 :]:
            for joint in first.names:
                if joint in second.names:
                    a, b = (places[str(card)][card.index(joint)] for card in (first, second))
                    apart = float(np.linalg.norm(a - b))
                    yield Namesake(joint, str(first), str(second), apart if np.isfinite(apart) else None)


def _places(card: Skeleton) -> np.ndarray:
    """Where a format's joints lie on the rest body, (J, 3) mm; NaN where its card does not say."""
    try:
        return card.placement @ rest_body().landmarks
    except InputError:
        return np.full((len(card), 3), np.nan)
