"""What a virtual dataset is like: its skeleton, cameras, look, poses and the noise of its labels. Data, not code."""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from skelbridge.body.patterns import CLOTH
from skelbridge.errors import CardError, UnknownNameError, nearest
from skelbridge.landmarks import read_toml, registry_dir
from skelbridge.skeletons import skeleton as card_named


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first number is the smaller one")
    return pair


Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Weights = Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rig(_Part):
    """The cameras: how many see a moment, from how far (m from the middle), from which height (m), with which focal
    length (of the picture's width). fixed: the same ones in all of the dataset, evenly around; else each moment has its
    own. wander: by how far (m) they look past the middle of the people."""

    count: int = Field(ge=1, le=32)
    distance: Range
    height: Range
    focal: Range
    fixed: bool = False
    wander: float = Field(0.2, ge=0)


class Look(_Part):
    """What is seen. places and cloth: kinds by weight. vivid: how colourful clothes are. people: how many at a time;
    reach: within how many metres of the middle. occluders: how many things stand before them, on average."""

    places: Weights
    cloth: Weights = {"plain": 3, "stripes": 1, "checks": 1, "blotches": 1, "prints": 1}
    vivid: Share = 0.8
    people: tuple[int, int] = (1, 1)
    reach: float = Field(0.5, ge=0)
    occluders: float = Field(0.0, ge=0)


class PoseShares(_Part):
    """Where poses come from: the share of random ones within the limits of joints; of the others, the share that is
    from the user's motions where he gives some. The rest are plain postures."""

    random: Share = 0.3
    recorded: Share = 0.7


class Noise(_Part):
    """What is wrong with the labels. systematic: every joint lies elsewhere than its format says, always by the same
    vector in the axes of the person's pelvis, mm rms over the joints. jitter: mm of a label, per axis; pixels: the same
    in a picture, for 2D labels. outliers: share of labels that are far off, by outlier_size (mm or pixels, per axis).
    missing: share of labels that are not given."""

    systematic: float = Field(0.0, ge=0)
    jitter: float = Field(0.0, ge=0)
    pixels: float = Field(0.0, ge=0)
    outliers: Share = 0.0
    outlier_size: float = Field(150.0, ge=0)
    missing: Share = 0.0


class VirtualDataset(_Part):
    """A virtual dataset. picture: width and height in pixels. packed: the side in pixels of the packed picture of a
    person, of `MARGIN` times his box. frames: moments of a sequence, which has one place and the same people in the
    same clothes. subjects: how many people there are in training, 0 for others in each sequence."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    skeleton: str
    labels: Literal["3d", "2d"] = "3d"
    cameras: Rig
    look: Look
    poses: PoseShares = PoseShares()
    noise: Noise = Noise()
    picture: tuple[int, int] = (1000, 1000)
    packed: int = Field(208, ge=32, le=2048)
    frames: int = Field(4, ge=1)
    subjects: int = Field(0, ge=0)

    @property
    def number(self) -> int:
        """Goes into its seeds, so that no two datasets are drawn alike."""
        return zlib.crc32(self.name.encode())


def virtual_dataset(spec: str | Path | VirtualDataset) -> VirtualDataset:
    """A virtual dataset by its name in the registry, from a TOML file, or itself.

    Raises UnknownNameError for an unknown name, CardError for a wrong file.
    """
    if isinstance(spec, VirtualDataset):
        return _checked(spec, spec.name)
    if str(spec).endswith(".toml"):
        return _read(Path(spec))
    known = virtual_datasets()
    if str(spec) not in known:
        raise UnknownNameError(
            f"there is no virtual dataset {str(spec)!r}",
            expected=f"a TOML file, or one of {', '.join(nearest(str(spec), known) or known)}",
        )
    return known[str(spec)]


@lru_cache(maxsize=1)
def virtual_datasets() -> dict[str, VirtualDataset]:
    """The virtual datasets of the registry, by name."""
    found = [_read(path) for path in sorted((registry_dir() / "virtual").glob("*.toml"))]
    return {spec.name: spec for spec in found}


def _read(path: Path) -> VirtualDataset:
    content: dict[str, Any] = read_toml(path)
    try:
        return _checked(VirtualDataset.model_validate(content), str(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CardError(f"{path}: {place}", expected=first["msg"], got=first.get("input")) from error


def _checked(spec: VirtualDataset, where: str) -> VirtualDataset:
    """The spec itself, after seeing that the names in it are known."""
    from skelbridge.synthetic.virtual.places import PLACES

    card_named(spec.skeleton).placement  # noqa: B018  raises where the card does not place its joints
    for what, named, known in (("places", spec.look.places, PLACES), ("cloth", spec.look.cloth, CLOTH)):
        if strange := set(named) - set(known):
            raise CardError(
                f"{where}: look.{what}", expected=f"among {', '.join(known)}", got=", ".join(sorted(strange))
            )
    return spec
