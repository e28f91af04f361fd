"""The named points of a human body, and placements of joints on them as matrices.

A landmark is a point that can be read off the virtual body: a joint centre, a bony landmark, a skin point. The
file `registry/landmarks.toml` lists the left and the central ones with their definition; every `left_` landmark
has a `right_` mirror image. A placement is a row of weights over the landmarks that sums to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelbridge.errors import CardError, UnknownNameError, nearest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]


def registry_dir() -> Path:
    """The folder of the built-in registry: inside an installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "registry"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "registry"


def read_toml(path: Path) -> dict:
    """Parse a TOML file, or raise a CardError that says where it breaks."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(
            f"the card {path} cannot be read", got=error, mend="It must be a TOML file in UTF-8."
        ) from error


def parse_toml(text: str) -> dict:
    """The tables of a TOML text; ValueError that says where it breaks."""
    return tomllib.loads(text)


class Landmark(BaseModel):
    """One named point of the body and how it is read off the virtual body (package `anny`, default rig and mesh).

    The point is the weighted sum of bone heads, bone tails and base-mesh vertices; all weights together sum to one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    part: Literal["trunk", "head", "face", "arm", "hand", "leg", "foot"]
    kind: Literal["joint_center", "bony", "surface"]
    definition: str = Field(description="where the point lies on a real body")
    heads: dict[str, float] = Field(default_factory=dict, description="bone name -> weight of its head")
    tails: dict[str, float] = Field(default_factory=dict, description="bone name -> weight of its tail")
    vertices: dict[int, float] = Field(default_factory=dict, description="base-mesh vertex -> weight")


@dataclass(frozen=True)
class Landmarks:
    """All landmarks, left and right ones included, in a fixed order."""

    names: tuple[str, ...]
    mirror: NDArray[np.intp]
    listed: tuple[Landmark, ...]

    def index(self, name: str) -> int:
        """Position of a landmark; UnknownNameError with the nearest names if there is none."""
        try:
            return self._position[name]
        except KeyError:
            raise UnknownNameError(
                f"there is no landmark {name!r}",
                expected=f"a name of registry/landmarks.toml, such as {nearest(name, self.names)}",
            ) from None

    @property
    def _position(self) -> dict[str, int]:
        return _positions(self.names)

    def matrix(self, placements: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Placement rows as a matrix, (len(placements), landmarks); each row sums to one as its card says."""
        rows = np.zeros((len(placements), len(self.names)))
        for row, at in zip(rows, placements, strict=True):
            for name, weight in at.items():
                row[self.index(name)] += weight
        return rows


@lru_cache(maxsize=4)
def _positions(names: tuple[str, ...]) -> dict[str, int]:
    return {name: position for position, name in enumerate(names)}


@lru_cache(maxsize=1)
def landmarks() -> Landmarks:
    """The landmarks of the built-in registry."""
    return read_landmarks(registry_dir() / "landmarks.toml")


def mirrored_name(name: str) -> str:
    """`left_x` for `right_x` and the reverse; a central name stays."""
    if name.startswith("left_"):
        return "right_" + name[5:]
    if name.startswith("right_"):
        return "left_" + name[6:]
    return name


def read_landmarks(path: Path) -> Landmarks:
    """Read a landmark file; a wrong entry is a CardError that names it."""
    listed = []
    for entry in read_toml(path).get("landmark", []):
        try:
            listed.append(Landmark.model_validate(entry))
        except ValidationError as error:
            raise CardError(f"landmark {entry.get('name')!r} in {path}", got=error.errors()[0]) from error
    names: list[str] = []
    for landmark in listed:
        if landmark.name.startswith("right_"):
            raise CardError(f"landmark {landmark.name!r} in {path}", mend="List the left one; the right one follows.")
        names += (
            [landmark.name]
            if mirrored_name(landmark.name) == landmark.name
            else [landmark.name, mirrored_name(landmark.name)]
        )
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise CardError(f"landmarks listed twice in {path}", got=twice)
    position = {name: index for index, name in enumerate(names)}
    mirror = np.array([position[mirrored_name(name)] for name in names], dtype=np.intp)
    return Landmarks(tuple(names), mirror, tuple(listed))
