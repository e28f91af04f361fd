"""What a training learns from: the store, the mixture, and the joints that the network is to know."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from skelbridge.bridge.acae import Joints
from skelbridge.errors import InputError
from skelbridge.store import Mixture, Store, mixture, open_store
from skelbridge.train.config import Data


@dataclass(frozen=True, eq=False)
class Sources:
    """The store of all datasets, how many examples of each a batch has, and the network's joints."""

    store: Store
    mixture: Mixture
    joints: Joints
    data: Data

    @property
    def digest(self) -> str:
        """What tells this data from other: the bytes of all shards, and what cleaning left of them."""
        told = hashlib.sha256(repr([(p.shard.digest, len(p)) for p in self.store.pieces]).encode())
        told.update(self.mixture.model_dump_json().encode())
        return told.hexdigest()

    @property
    def judged(self) -> Store:
        """The samples that no training sees, of datasets with 3D labels."""
        return self.store.select(dataset=self.deep, split=self.data.judged)

    @property
    def deep(self) -> list[str]:
        """The datasets of 3D labels."""
        return [stream.dataset for stream in self.mixture.streams if not stream.weak_2d]


def open_sources(data: Data) -> Sources:
    """Open what a configuration names.

    Raises InputError where a store or a dataset of the mixture is missing, where samples to judge by would be trained
    on, and where a dataset's format is not among those that the network is to know.
    """
    if not data.store.is_file():
        raise InputError(
            f"data.store: there is no store {data.store}",
            mend="`skelbridge merge` makes one of your datasets'; data.virtual renders one.",
        )
    store = open_store(data.store)
    mixed = _available(store, data)
    _check_splits(store, mixed, data)
    formats = {stream.dataset: store.select(dataset=stream.dataset).skeletons for stream in mixed.streams}
    deep = [str(card) for s in mixed.streams if not s.weak_2d for card in formats[s.dataset]]
    joints = Joints.of(data.formats or list(dict.fromkeys(deep)))
    for name in deep:
        if name not in joints.slices:
            raise InputError("data.formats", expected=f"{name} as well, which a dataset of the mixture has",
                             got=", ".join(joints.slices))  # fmt: skip
    return Sources(store, mixed, joints, data)


def _available(store: Store, data: Data) -> Mixture:
    """The mixture, as far as the store has its datasets; raises as `Store.batches` does."""
    found = store.batches(mixture=mixture(data.mixture), renormalise=data.renormalise, steps=0).mixture
    return found or mixture(data.mixture)


def _check_splits(store: Store, mixed: Mixture, data: Data) -> None:
    """No split may be both trained on and judged by."""
    for stream in mixed.streams:
        there = {split for split in store.select(dataset=stream.dataset).splits[stream.dataset]}
        both = set(data.judged) & (set(stream.splits) or there)
        if both and not stream.weak_2d:
            raise InputError(
                f"data.judged: {stream.dataset} would be trained on what it is judged by",
                expected="splits that the mixture does not train on", got=", ".join(sorted(both)),
                mend="Name other splits in the mixture, or in data.judged.",
            )  # fmt: skip
