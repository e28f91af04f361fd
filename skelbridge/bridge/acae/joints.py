"""The joints of several formats side by side: what the columns of a pose are when many formats are known together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton, formats, skeleton

#: The mirror index of a joint that has no mirror image, such as a single marker that tells back from front.
NO_MIRROR = -1


@dataclass(frozen=True)
class Joints:
    """All joints of some formats, format after format, each format in its native order.

    Joints are named "format/joint". Formats of one hand come as "mediapipe_hand_21:left" and ":right".
    """

    formats: tuple[Skeleton, ...]

    @classmethod
    def of(cls, formats: Joints | str | Path | Skeleton | Sequence[str | Path | Skeleton]) -> Joints:
        """From formats, ids, aliases or card files; InputError for none, for one twice, and for a hand without side."""
        if isinstance(formats, Joints):
            return formats
        given = [formats] if isinstance(formats, str | Path | Skeleton) else list(formats)
        cards = tuple(skeleton(name) for name in given)
        ids = [str(card) for card in cards]
        if not ids or len(set(ids)) < len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise InputError("joints", expected="one or more formats, each once", got=twice or "none")
        for card in cards:
            if card.one_hand and card.side is None:
                raise InputError(f"the format {card} is of one hand", expected="its side", mend=f"Say {card}:left.")
        return cls(cards)

    @classmethod
    def registry(cls) -> Joints:
        """Every format of the registry that says where its joints lie; formats of one hand as left and right ones."""
        cards: list[Skeleton] = []
        for card in formats():
            if all(joint.at for joint in card.joints):
                cards += [card.with_side("left"), card.with_side("right")] if card.one_hand else [card]
        return cls(tuple(cards))

    def __len__(self) -> int:
        return sum(len(card) for card in self.formats)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all joints, "format/joint"."""
        return tuple(f"{card}/{name}" for card in self.formats for name in card.names)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each format's joints are."""
        ends = np.cumsum([len(card) for card in self.formats])
        return {str(card): slice(int(end) - len(card), int(end)) for card, end in zip(self.formats, ends, strict=True)}

    def slice_of(self, format: str | Path | Skeleton) -> slice:
        """Where one format's joints are; InputError if it is not among these."""
        card = skeleton(format)
        if str(card) not in self.slices:
            raise InputError(
                f"the format {card}", expected=f"one of {', '.join(list(self.slices)[:6])} ...", got="none of these",
                mend="Attach it first: acae.attach(format, poses, points).",
            )  # fmt: skip
        return self.slices[str(card)]

    @cached_property
    def mirror(self) -> NDArray[np.intp]:
        """For each joint the position of its mirror image: itself for central ones, NO_MIRROR where there is none."""
        index = np.full(len(self), NO_MIRROR, dtype=np.intp)
        for card in self.formats:
            own = self.slices[str(card)]
            if card.one_hand:
                other = self.slices.get(f"{card.id}:{'right' if card.side == 'left' else 'left'}")
                if other is not None:
                    index[own] = np.arange(other.start, other.stop)
                continue
            single = [name in card.asymmetric for name in card.names]
            index[own] = np.where(single, NO_MIRROR, card.mirror_index + own.start)
        return index

    @property
    def one_hand(self) -> bool:
        """Whether these are joints of one hand alone, which have no mirror images."""
        return len({card.side for card in self.formats}) == 1 and all(card.one_hand for card in self.formats)

    @cached_property
    def placement(self) -> NDArray[np.float64]:
        """Where the joints lie, weights over the landmarks, (J, landmarks); InputError for a card without `at`."""
        return np.concatenate([card.placement for card in self.formats])

    @property
    def placed(self) -> bool:
        """Whether every format says where its joints lie."""
        return all(joint.at for card in self.formats for joint in card.joints)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each joint: joint centre, bony, surface and so on, as its card says."""
        return tuple(joint.kind for card in self.formats for joint in card.joints)
