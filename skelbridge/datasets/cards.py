"""Dataset cards: what each dataset is, its licence, its files, its skeletons; one TOML file each."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelbridge.errors import CardError, UnknownNameError, nearest
from skelbridge.landmarks import read_toml, registry_dir

Kind = Literal["marker_mocap", "markerless_mocap", "synthetic", "weak_2d", "evaluation"]


class NativeFile(BaseModel):
    """One kind of file of a dataset's own distribution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str = Field(description="where it lies below the dataset's folder")
    container: str = Field(description="its format")
    content: str = Field(default="", description="what is in it")
    needed: bool = Field(default=True, description="whether the reader cannot do without")


class DatasetCard(BaseModel):
    """A dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    aliases: tuple[str, ...] = ()
    year: int
    kind: Kind
    citation: str
    url: str
    license: str
    download: str = Field(description="what to download, and how it must lie below one folder")
    skeletons: tuple[str, ...] = Field(min_length=1, description="formats its reader gives, the default first")
    splits: tuple[str, ...] = Field(min_length=1, description="its own words for its splits")
    samples: str = Field(default="", description="how many annotated people, roughly, where known")
    units: str = Field(description="of its own files")
    cameras: str = Field(default="", description="how it was seen")
    models: tuple[str, ...] = Field(default=(), description="SMPL-family models its reader needs: smpl, smplh, smplx")
    files: tuple[NativeFile, ...] = Field(min_length=1)
    known_bad: tuple[str, ...] = Field(default=(), description="what its reader drops or repairs, and why")
    notes: tuple[str, ...] = Field(default=(), description="what users should know; open questions")


@lru_cache(maxsize=1)
def datasets() -> dict[str, DatasetCard]:
    """The cards by id, in the order of ids."""
    cards = {}
    for path in sorted((registry_dir() / "datasets").glob("*.toml")):
        try:
            card = DatasetCard.model_validate(read_toml(path))
        except ValidationError as error:
            raise CardError(str(path), got=error.errors()[0]) from error
        if card.id != path.stem:
            raise CardError(str(path), expected=f"id = {path.stem!r}", got=card.id)
        cards[card.id] = card
    return cards


def dataset(name: str) -> DatasetCard:
    """The card of an id or alias; UnknownNameError names the nearest."""
    cards = datasets()
    known = {alias: card for card in cards.values() for alias in (card.id, *card.aliases)}
    if name not in known:
        raise UnknownNameError(f"no dataset {name!r}", expected=f"one such as {nearest(name, known)}")
    return known[name]
