"""Mixtures: how many examples of each dataset a training batch holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skelbridge.errors import CardError, InputError, UnknownNameError, nearest
from skelbridge.landmarks import read_toml, registry_dir


class Stream(BaseModel):
    """One dataset's part in a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    count: int = Field(gt=0, description="examples in every batch")
    weak_2d: bool = Field(default=False, description="its labels are 2D: it belongs to the second part of a batch")
    splits: tuple[str, ...] = Field(
        default=(), description="its own words for the splits to train on, those of them that there are; none: all"
    )


class Mixture(BaseModel):
    """Examples a batch for each dataset: 3D ones first, then those with 2D labels alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str = ""
    batch_3d: int = Field(ge=0)
    batch_2d: int = Field(ge=0)
    streams: tuple[Stream, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Examples a batch."""
        return self.batch_3d + self.batch_2d

    @model_validator(mode="after")
    def _adds_up(self) -> Mixture:
        names = [stream.dataset for stream in self.streams]
        if len(set(names)) < len(names):
            raise ValueError(f"a dataset is listed twice: {sorted({n for n in names if names.count(n) > 1})}")
        for weak, wanted in ((False, self.batch_3d), (True, self.batch_2d)):
            found = sum(stream.count for stream in self.streams if stream.weak_2d == weak)
            if found != wanted:
                raise ValueError(f"the {'2D' if weak else '3D'} counts add up to {found}, expected {wanted}")
        return self

    def without(self, missing: set[str]) -> Mixture:
        """The mixture with the counts of missing datasets given to the others, both parts as large as before.

        Shares are rounded by largest remainders; none becomes smaller. Raises InputError where a part has no dataset
        left.
        """
        streams: list[Stream] = []
        for weak, size in ((False, self.batch_3d), (True, self.batch_2d)):
            left = [s for s in self.streams if s.weak_2d == weak and s.dataset not in missing]
            if size and not left:
                raise InputError(
                    f"the mixture {self.name}", expected=f"a dataset of {'2D' if weak else '3D'} labels", got="none",
                    mend="Ingest one, or write a mixture of your own.",
                )  # fmt: skip
            counts = apportioned([s.count for s in left], size)
            streams += [s.model_copy(update={"count": n}) for s, n in zip(left, counts, strict=True)]
        return self.model_copy(update={"streams": tuple(streams)})


def apportioned(weights: list[int], size: int) -> list[int]:
    """Whole numbers in proportion to weights that add up to size, by largest remainders; ties to the first."""
    if not weights:
        return []
    shares = np.array(weights, float) * size / sum(weights)
    counts = np.floor(shares + 1e-9).astype(int)
    largest = np.argsort(-(shares - counts), kind="stable")[: size - int(counts.sum())]
    counts[largest] += 1
    return [int(count) for count in counts]


def mixtures() -> dict[str, Path]:
    """The mixtures of the registry by name."""
    return {path.stem: path for path in sorted((registry_dir() / "mixtures").glob("*.toml"))}


def mixture(name: str | Path | Mixture) -> Mixture:
    """A mixture by name, or from a TOML file of one's own.

    Raises UnknownNameError with the nearest names, CardError for a file that is wrong.
    """
    if isinstance(name, Mixture):
        return name
    known: Mapping[str, Path] = mixtures()
    path = Path(name) if str(name).endswith(".toml") else known.get(str(name))
    if path is None:
        raise UnknownNameError(
            f"there is no mixture {str(name)!r}",
            expected=f"one such as {', '.join(nearest(str(name), known) or known)}",
        )
    try:
        return Mixture.model_validate(read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise CardError(f"the mixture {path}, field {where}", got=first["msg"]) from error
