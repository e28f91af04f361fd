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


class Thinning(BaseModel):
    """How frames that differ little are left out; see `skelbridge.datasets.thinning`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["since_last", "since_any", "none"] = Field(
        default="since_last", description="moved since the last kept frame; against each kept one; keep every frame"
    )
    mm: float = Field(default=100.0, gt=0, description="how far a joint must have moved, 3D points")
    box_share: float = Field(default=0.1, gt=0, description="the same for 2D points, of the longer side of the box")
    min_joints: int = Field(default=1, ge=1, description="how many joints must have moved so far")
    memory: int = Field(default=100, ge=1, description="how many kept poses since_any looks back on")
    newly_seen: bool = Field(default=False, description="whether a joint that was missing counts as moved")
    centred: bool = Field(default=False, description="whether motion is about the mean of the joints")
    step: int = Field(default=1, ge=1, description="only every n-th frame is looked at")
    evaluation_step: int = Field(default=1, ge=1, description="every n-th frame of splits that are judged on is kept")

    def told(self, flat: bool) -> str:
        """The rule in a few words; flat: for 2D points."""
        step = f"one frame in {self.step}" if self.step > 1 else ""
        if self.rule == "none":
            return step or "every frame is kept"
        joints = f"{self.min_joints} joint{'s' if self.min_joints > 1 else ''} moved "
        joints += f"{self.box_share:.0%} of the box" if flat else f"{self.mm:g} mm"
        since = (
            "since the last kept frame" if self.rule == "since_last" else f"against the last {self.memory} kept ones"
        )
        return f"{step}{'; ' if step else ''}{joints} {since}"


class Boxes(BaseModel):
    """How people's boxes are made, and which are too small; see `skelbridge.datasets.boxes`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expand: float = Field(default=1.05, ge=1, description="by how much the box of points is enlarged")
    min_side: float = Field(default=0.0, ge=0, description="of the shorter side, pixels; smaller people are dropped")
    min_longer_side: float = Field(default=0.0, ge=0, description="of the longer side, pixels")


class Labels(BaseModel):
    """How much of a person must be labelled; see `skelbridge.datasets.clean`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: int | None = Field(default=None, gt=0, description="only so many joints count, the first: those of the body")
    visible: float = Field(default=0.0, ge=0, description="joints that must be seen (visible), at least")
    labelled: float = Field(default=0.0, ge=0, description="joints that must be given at all, at least")
    limbs: int = Field(default=0, ge=0, description="of the ankles, knees, hips, wrists, elbows, shoulders, at least")


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
    fps: float = Field(default=0.0, ge=0, description="annotated frames a second, where they are one rate")
    evaluation: tuple[str, ...] = Field(
        default=("test",), description="splits that are judged on: people are not left out"
    )
    thinning: Thinning = Thinning()
    boxes: Boxes = Boxes()
    labels: Labels = Labels()
    plausible: bool = Field(default=True, description="whether people with impossible bones are cleaned out")

    @property
    def how_thinned(self) -> str:
        """How frames that differ little are left out, in a few words."""
        return self.thinning.told(flat=self.kind == "weak_2d")


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


def table() -> list[str]:
    """All datasets as the lines of a Markdown table."""
    lines = ["| id | dataset | kind | skeletons | samples | thinning | licence |", "|---|---|---|---|---|---|---|"]
    for card in datasets().values():
        title, skeletons = f"[{card.title}]({card.url}), {card.year}", ", ".join(f"`{name}`" for name in card.skeletons)
        cells = (f"`{card.id}`", title, card.kind.replace("_", " "), skeletons, card.samples, card.how_thinned)
        words = [" ".join(cell.split()).replace("|", "/") for cell in (*cells, card.license)]
        lines.append(f"| {' | '.join(words)} |")
    return lines
