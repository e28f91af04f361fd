"""The formats of joints in the JSON of a file: names, and the whole card of what is not in the registry."""

from __future__ import annotations

from typing import Any

from skelbridge.bridge.acae.joints import Joints
from skelbridge.errors import FileFormatError, UnknownNameError
from skelbridge.skeletons import Skeleton, card_paths, skeleton


def write_formats(joints: Joints) -> list[dict[str, Any]]:
    """For JSON: each format with its joints' names, and its card if the registry does not have it so."""
    return [_entry(card) for card in joints.formats]


def read_formats(entries: list[dict[str, Any]], what: str) -> Joints:
    """From JSON; FileFormatError for a format that is unknown or that has changed since `what` was made."""
    return Joints(tuple(_card(entry, what) for entry in entries))


def _entry(card: Skeleton) -> dict[str, Any]:
    entry: dict[str, Any] = {"format": str(card), "joints": card.names}
    known = card_paths().get(card.id) is not None and skeleton(str(card)) == card
    return entry if known else entry | {"card": card.model_dump(mode="json", exclude_defaults=True)}


def _card(entry: dict[str, Any], what: str) -> Skeleton:
    if "card" in entry:
        return Skeleton.model_validate(entry["card"])
    try:
        card = skeleton(entry["format"])
    except UnknownNameError as error:
        raise FileFormatError(f"{what} holds a format that is not known", got=entry["format"],
                              mend="Put its card in a folder of SKELBRIDGE_REGISTRY.") from error  # fmt: skip
    if list(card.names) != entry["joints"]:
        raise FileFormatError(f"the joints of {card} have changed since {what} was fitted", mend="Fit it anew.")
    return card
