"""The index of a store: which shards it has, or which stores it links, and which of their rows are left out."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.files import damaged
from skelbridge.skeletons import Skeleton, skeleton
from skelbridge.store import sealed
from skelbridge.store.sealed import Column

#: Of what a store's files hold. 1: five distortion coefficients and no lens model. 2: eight, and the model.
SCHEMA = 2
#: Rows of a shard, and bytes of its columns, at most.
MAX_ROWS, MAX_BYTES = 65_536, 64 * 2**20


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shard(_Model):
    """One file of samples: one dataset, split and skeleton."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.h5$", description="in the folder of shards")
    dataset: str
    split: str
    skeleton: str
    joints: int = Field(gt=0)
    rows: int = Field(gt=0, le=MAX_ROWS)
    bytes: int = Field(gt=0, description="of the file, behind its seal")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    masks: int = Field(default=0, ge=0, description="bytes of masks")
    pictures: int = Field(default=0, ge=0, description="bytes of packed pictures")


class JobRecord(_Model):
    """What one job wrote; nothing of it is visible until it is committed. Goes between processes by pickle or JSON."""

    job: str
    parts: tuple[str, ...] = Field(description="keys of the parts that are done with it")
    shards: tuple[Shard, ...]
    report: dict[str, Any] = Field(default_factory=dict, description="what was counted and remarked")


class Member(_Model):
    """A store that another one links."""

    path: str = Field(description="POSIX, relative to the folder of the linking file, or absolute")
    content: str = Field(description="digest over its shards when it was linked")
    rows: int


class Cleaning(_Model):
    """What was left out of a store, and by which settings."""

    reasons: tuple[str, ...]
    settings: dict[str, Any] = Field(default_factory=dict)


class Index(_Model):
    """The content of an index file. A store of its own has jobs; one that links others has members."""

    schema_version: int
    dataset: str = ""
    skeleton: str = ""
    root: str = Field(default="", description="the dataset's folder when it was ingested")
    about: dict[str, Any] = Field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = Field(default_factory=dict, description="the skeleton's card")
    jobs: tuple[JobRecord, ...] = ()
    members: tuple[Member, ...] | None = None
    cleaning: Cleaning | None = None

    @property
    def shards(self) -> list[Shard]:
        return [shard for job in self.jobs for shard in job.shards]

    @property
    def reader(self) -> int:
        """The version of the reader that read the dataset; 0 where it was not said."""
        version = self.about.get("reader", 0)
        return version if isinstance(version, int) else 0

    @property
    def content(self) -> str:
        """A digest over shards and members: the same as long as the samples are."""
        names = [shard.digest for shard in self.shards] + [member.content for member in self.members or ()]
        return hashlib.blake2b("\n".join([self.skeleton, *names]).encode(), digest_size=16).hexdigest()

    def text(self) -> str:
        """As JSON; InputError for what is not UTF-8, as the names of folders may be."""
        try:
            return self.model_dump_json(exclude_defaults=True)
        except ValueError as error:
            raise InputError(
                "the index of a store", expected="paths and words in UTF-8", got=error,
                mend="Rename the folder, or link to it by another name.",
            ) from error  # fmt: skip

    def card(self) -> Skeleton:
        """The skeleton of the samples: the registry's card if it has the same joints, else the one kept here."""
        kept = Skeleton.model_validate(self.cards[self.skeleton])
        try:
            known = skeleton(self.skeleton)
        except LookupError:
            return kept
        return known if known.names == kept.names else kept


@dataclass(frozen=True, eq=False)
class Dropped:
    """The rows of one shard that are left out: a bit for each row, and for each that is set the reason's code."""

    bits: NDArray[np.uint8]
    codes: NDArray[np.uint8]

    @classmethod
    def of(cls, codes: NDArray[np.integer]) -> Dropped:
        """From a code for each row, -1 where it stays."""
        out = codes >= 0
        return cls(np.packbits(out), codes[out].astype(np.uint8))

    def fits(self, rows: int, reasons: int) -> bool:
        """Whether it can be of a shard with so many rows, and so many reasons."""
        if self.bits.dtype != np.uint8 or self.bits.shape != (-(-rows // 8),) or self.codes.ndim != 1:
            return False
        return int(np.unpackbits(self.bits, count=rows).sum()) == len(self.codes) and bool((self.codes < reasons).all())

    def by_row(self, rows: int) -> NDArray[np.int16]:
        """The reason's code for each row, -1 where it stays."""
        found = np.full(rows, -1, np.int16)
        found[np.unpackbits(self.bits, count=rows).astype(bool)] = self.codes
        return found


@dataclass(frozen=True, eq=False)
class IndexFile:
    """An index with the rows that are left out, by the key of their shard (`Store.pieces`)."""

    index: Index
    dropped: Mapping[str, Dropped] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file, at once and whole."""
        text = np.frombuffer(self.index.text().encode(), np.uint8)
        columns = {"index": Column.of(text)}
        for key, dropped in self.dropped.items():
            columns[f"dropped/{key}/bits"] = Column.of(dropped.bits)
            columns[f"dropped/{key}/codes"] = Column.of(dropped.codes)
        sealed.write(path, {"schema": self.index.schema_version, "kind": "skelbridge index"}, columns)


def store_path(path: str | Path) -> Path:
    """Where a store lies: a symbolic link to its index is followed, as shards and members lie beside the index."""
    path = Path(path)
    return path.resolve() if os.path.islink(path) else path


def existing(path: str | Path) -> Path:
    """As `store_path`; FileFormatError where there is no file."""
    path = store_path(path)
    if not os.path.isfile(path):
        got = "a folder" if os.path.isdir(path) else "no such file"
        raise damaged(path, "", expected="a store", got=got, mend="Check the path.")
    return path


def shards_folder(path: Path) -> Path:
    """Where the shards of a store lie."""
    return path.with_name(path.name + ".shards")


def read_index(path: Path, *, versions: Iterable[int] = (SCHEMA,)) -> IndexFile:
    """Read an index, every byte of which is checked.

    Raises FileFormatError where it is damaged, of another schema version, or no index.
    """
    attributes, arrays = sealed.whole(existing(path))
    if attributes.get("kind") != "skelbridge index":
        raise damaged(
            path, "", expected="the index of a store", got=attributes.get("kind"),
            mend="Open the .h5 file beside the .shards folder.",
        )  # fmt: skip
    _check_version(path, int(attributes.get("schema", 0)), versions)
    try:
        index = Index.model_validate(json.loads(arrays.pop("index").tobytes()))
        dropped = {
            name.removeprefix("dropped/").removesuffix("/bits"): Dropped(
                np.array(bits), np.array(arrays[name.removesuffix("bits") + "codes"])
            )
            for name, bits in arrays.items()
            if name.endswith("/bits")
        }
    except (ValidationError, KeyError, ValueError) as error:
        raise damaged(path, "the index", expected="an index of shards", got=error) from error
    return IndexFile(index, dropped)


def _check_version(path: Path, found: int, versions: Iterable[int]) -> None:
    if found in versions:
        return
    if found > SCHEMA:
        raise FileFormatError(
            f"{path}: written by a newer skelbridge", expected=f"schema version up to {SCHEMA}", got=found,
            mend='Run: pip install --upgrade "skelbridge[data]"',
        )  # fmt: skip
    raise FileFormatError(
        f"{path}: a store of an older skelbridge", expected=f"schema version {SCHEMA}", got=found,
        mend=f"Run: skelbridge store migrate {shlex.quote(str(path))}",
    )  # fmt: skip


def card_of(card: Skeleton) -> dict[str, Any]:
    """A skeleton's card as plain values."""
    return card.model_dump(mode="json", exclude_defaults=True)


def same_joints(a: Skeleton, b: Skeleton) -> None:
    """InputError unless two skeletons are the same format with the same joints in the same order."""
    if str(a) != str(b) or a.names != b.names:
        raise InputError("the skeleton of samples", expected=f"{a} with {len(a)} joints", got=f"{b} with {len(b)}")
