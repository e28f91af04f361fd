"""Skeleton formats: cards, look-up, aliases, mirror maps, and cards that users add.

A format is one TOML file. The built-in ones lie in `registry/skeletons/`; the folders named in the environment
variable SKELBRIDGE_REGISTRY (separated like PATH) are searched as well, and `skeleton("path/to/card.toml")` takes
one file. `docs/cards.md` shows how to write one.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skelbridge.errors import CardError, InputError, UnknownNameError, nearest
from skelbridge.landmarks import landmarks, mirrored_name, read_toml, registry_dir

Side = Literal["left", "right"]
Kind = Literal["joint_center", "surface", "fingertip", "marker", "virtual"]

#: How surely a joint's place is known where its card says nothing, mm on a body of 1.7 m.
DEFAULT_UNCERTAINTY: Mapping[str, float] = {
    "joint_center": 15.0, "surface": 8.0, "fingertip": 6.0, "marker": 10.0, "virtual": 20.0,
}  # fmt: skip


class Joint(BaseModel):
    """One joint of a format."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\S+$", description="the field's word, lower case, left_/right_ prefix")
    native: str = Field(default="", description="its name in the format's own files")
    kind: Kind = "joint_center"
    anatomy: str = Field(default="", description="where it lies on a real body")
    at: dict[str, float] = Field(default_factory=dict, description="landmark -> weight; the weights sum to one")
    uncertainty: float | None = Field(default=None, gt=0, description="of the place, mm on a body of 1.7 m")
    calibrated: str = Field(default="", description="the recordings that `at` and `uncertainty` were learned from")
    prior: dict[str, float] = Field(default_factory=dict, description="`at` before it was calibrated")
    prior_uncertainty: float | None = Field(default=None, gt=0, description="`uncertainty` before that")

    @property
    def placement_uncertainty(self) -> float:
        """Standard uncertainty of the joint's place, mm on a body of 1.7 m."""
        return self.uncertainty if self.uncertainty is not None else DEFAULT_UNCERTAINTY[self.kind]

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Joint:
        if self.at and abs(sum(self.at.values()) - 1) > 1e-6:
            raise ValueError(f"the weights of {self.name!r} in `at` sum to {sum(self.at.values()):.6g}, expected 1")
        return self


class Check(BaseModel):
    """A second source that joints of a card were held against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Literal["order", "place"]
    joints: tuple[str, ...] = Field(default=(), description="the joints that were checked; none listed: all")
    against: str = Field(min_length=1, description="the second source")
    found: str = Field(min_length=1, description="how well it agrees")


class Skeleton(BaseModel):
    """A skeleton format: its joints in native order, edges, sides and where each joint lies on a body.

    Joints whose names begin with `left_` or `right_` must come in the pairs of `mirror`; a joint that truly has no
    partner (a marker that tells back from front) is named in `asymmetric`. A format of one hand says `one_hand` and
    places its joints on landmarks without a side; `skeleton(..., side=...)` gives it one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^\S+$")
    title: str = ""
    aliases: tuple[str, ...] = ()
    dims: Literal[2, 3] = Field(default=3, description="in which the format is usually found")
    source: str = ""
    notes: str = ""
    used_by: tuple[str, ...] = ()
    root: tuple[str, ...] = Field(default=(), description="the joint, or the joints whose mean, is the root")
    one_hand: bool = False
    side: Side | None = None
    asymmetric: tuple[str, ...] = ()
    mirror: tuple[tuple[str, str], ...] = Field(default=(), description="pairs of left and right joints")
    edges: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = Field(default=(), description="what was checked against a second source")
    joints: tuple[Joint, ...] = Field(min_length=1)

    def __len__(self) -> int:
        return len(self.joints)

    def __str__(self) -> str:
        return f"{self.id}:{self.side}" if self.side else self.id

    def __repr__(self) -> str:  # the whole card would fill pages
        return f"<Skeleton {self}: {len(self)} joints>"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Joint names in native order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of a joint, or UnknownNameError with the nearest names."""
        if name not in self._positions:
            raise UnknownNameError(
                f"{self} has no joint {name!r}",
                expected=f"one of its {len(self)} joints, such as {nearest(name, self.names)}",
            )
        return self._positions[name]

    @cached_property
    def mirror_index(self) -> NDArray[np.intp]:
        """For each joint the position of its mirror partner (itself for central joints), (joints,)."""
        index = np.arange(len(self))
        for left, right in self.mirror:
            index[self.index(left)], index[self.index(right)] = self.index(right), self.index(left)
        return index

    @cached_property
    def edge_index(self) -> NDArray[np.intp]:
        """Edges as joint positions, (edges, 2)."""
        return np.array([[self.index(a), self.index(b)] for a, b in self.edges], dtype=np.intp).reshape(-1, 2)

    @cached_property
    def placement(self) -> NDArray[np.float64]:
        """Where the joints lie: weights over the landmarks, (joints, landmarks); InputError for a card without `at`."""
        missing = [joint.name for joint in self.joints if not joint.at]
        if missing:
            raise InputError(
                f"the format {self} does not say where its joints lie",
                expected="a placement `at` for every joint",
                got=f"none for {missing[:5]}",
                mend="Name a known format (format=, --from), or write a card: see docs/cards.md.",
            )
        if self.one_hand and self.side is None:
            raise InputError(
                f"{self.id} is a hand without a side",
                mend=f'Say side="left" or side="right", or write "{self.id}:left".',
            )
        return landmarks().matrix([joint.at for joint in self.joints])

    @cached_property
    def placement_uncertainty(self) -> NDArray[np.float64]:
        """Standard uncertainty of each joint's place, mm on a body of 1.7 m, (joints,)."""
        return np.array([joint.placement_uncertainty for joint in self.joints])

    def checks_of(self, name: str) -> tuple[Check, ...]:
        """The second sources that one joint's order in the array or place on the body was checked against."""
        self.index(name)
        return tuple(check for check in self.checks if not check.joints or name in check.joints)

    def prior(self) -> Skeleton:
        """The same format with the placements that its card had before any was calibrated."""
        joints = [
            {**joint.model_dump(), "at": joint.prior, "uncertainty": joint.prior_uncertainty}
            | {"calibrated": "", "prior": {}, "prior_uncertainty": None}
            if joint.calibrated
            else joint.model_dump()
            for joint in self.joints
        ]
        return Skeleton.model_validate({**self.model_dump(), "joints": joints})

    def with_side(self, side: Side) -> Skeleton:
        """The same one-hand format as a left or a right hand; InputError for other formats."""
        if not self.one_hand:
            raise InputError(f"{self.id} is not a format of one hand", mend="Leave side= out.")
        return self._left_hand if side == "left" else self._right_hand

    @cached_property
    def _left_hand(self) -> Skeleton:
        return self._as_hand("left")

    @cached_property
    def _right_hand(self) -> Skeleton:
        return self._as_hand("right")

    def _as_hand(self, side: Side) -> Skeleton:
        central = {name for name in landmarks().names if mirrored_name(name) == name}

        def sided(name: str) -> str:
            return name if name in central else f"{side}_{name.removeprefix(f'{self.side}_')}"

        joints = [
            {
                **joint.model_dump(),
                **{at: {sided(n): w for n, w in getattr(joint, at).items()} for at in ("at", "prior")},
            }
            for joint in self.joints
        ]
        return Skeleton.model_validate({**self.model_dump(), "side": side, "joints": joints})

    @model_validator(mode="after")
    def _is_consistent(self) -> Skeleton:
        names = [joint.name for joint in self.joints]
        known = set(names)
        problems = [f"the joint {name!r} is listed twice" for name in sorted(known) if names.count(name) > 1]
        for field, used in (
            ("edges", [name for edge in self.edges for name in edge]),
            ("root", self.root),
            ("mirror", [name for pair in self.mirror for name in pair]),
            ("asymmetric", self.asymmetric),
            ("checks", [name for check in self.checks for name in check.joints]),
        ):
            problems += [f"`{field}` names {name!r}, which is no joint" for name in used if name not in known]
        paired = [name for pair in self.mirror for name in pair]
        problems += [f"{name!r} is in two pairs of `mirror`" for name in sorted(set(paired)) if paired.count(name) > 1]
        for name in names:
            if mirrored_name(name) != name and name not in paired and name not in self.asymmetric:
                problems.append(f"{name!r} has no partner in `mirror` (an orphan); pair it or list it in `asymmetric`")
        problems += self._placement_problems()
        if problems:
            raise ValueError("; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else ""))
        return self

    def _placement_problems(self) -> list[str]:
        """Unknown landmarks, and placements of a pair that are not mirror images of each other."""
        if not any(joint.at for joint in self.joints):
            return []
        known = set(landmarks().names)
        if self.one_hand and self.side is None:
            known |= {name.removeprefix("left_") for name in known}
        problems = []
        for joint in self.joints:
            for name in joint.at:
                if name not in known:
                    close = nearest(name, known)
                    problems.append(f"{joint.name!r} is placed at {name!r}, which is no landmark (near: {close})")
        by_name = {joint.name: joint for joint in self.joints}
        partner = {**dict(self.mirror), **{right: left for left, right in self.mirror}}
        for name, joint in by_name.items():
            if self.one_hand or name in self.asymmetric:
                continue
            other = by_name.get(partner.get(name, name))
            if other is None:
                continue
            image = {mirrored_name(at): weight for at, weight in other.at.items()}
            if image.keys() != joint.at.keys() or any(abs(image[at] - joint.at[at]) > 1e-9 for at in image):
                problems.append(f"the placement of {name!r} is not the mirror image of that of {other.name!r}")
        return problems


def read_card(path: str | Path) -> Skeleton:
    """Read one skeleton card; CardError names the file, the field and the mend."""
    path = Path(path)
    content = read_toml(path)
    try:
        return Skeleton.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise CardError(
            f"the skeleton card {path}, field {where}", got=first["msg"], mend="See docs/cards.md."
        ) from error


def write_card(card: Skeleton, path: str | Path) -> None:
    """Write a card as a TOML file that `read_card` reads back as the same card; nothing half-written is left."""
    content = card.model_dump(exclude_defaults=True, exclude={"side"})
    joints, checks = content.pop("joints"), content.pop("checks", ())
    lines = [f"{name} = {_toml(value)}" for name, value in content.items()]
    for table in checks:
        lines += ["", "[[checks]]", *(f"{name} = {_toml(value)}" for name, value in table.items())]
    for index, table in enumerate(joints):
        lines += ["", f"[[joints]]  # {index}", *(f"{name} = {_toml(value)}" for name, value in table.items())]
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(path)


def _toml(value: Any) -> str:
    """A value of a card in TOML; long texts and lists are broken into lines."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, tuple | list):
        items = ", ".join(_toml(item).replace(" ", "\0") for item in value)  # a line breaks between items only
        lines = textwrap.wrap(items, 110, break_long_words=False, break_on_hyphens=False)
        joined = "\n  ".join(lines).replace("\0", " ")
        return f"[{joined}]" if len(lines) < 2 else f"[\n  {joined},\n]"
    if isinstance(value, str):
        lines = textwrap.wrap(value, 110, break_long_words=False, break_on_hyphens=False)
        if len(lines) > 1 and " ".join(lines) == value and '"' not in value and "\\" not in value:
            return '"""\n' + " \\\n".join(lines) + '"""'
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value).lower()


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def card_paths() -> dict[str, Path]:
    """Format id (the file name) -> card, the user's own folders after the built-in one."""
    folders = [registry_dir() / "skeletons"]
    for folder in filter(None, os.environ.get("SKELBRIDGE_REGISTRY", "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise InputError(
                "SKELBRIDGE_REGISTRY", expected="folders that exist", got=folder, mend="Correct or unset it."
            )
        inside = Path(folder) / "skeletons"
        folders.append(inside if inside.is_dir() else Path(folder))
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


@lru_cache(maxsize=512)
def _read_unchanged_card(path: Path, mtime: int) -> Skeleton:
    return read_card(path)


def _card(path: Path) -> Skeleton:
    return _read_unchanged_card(path, path.stat().st_mtime_ns)


def formats() -> list[Skeleton]:
    """Every known format, sorted by id."""
    return sorted((_card(path) for path in card_paths().values()), key=lambda card: card.id)


def skeleton(name: str | Path | Skeleton, side: Side | None = None) -> Skeleton:
    """Look up a format by id, alias or card file; `"mediapipe_hand_21:left"` or `side=` gives a hand its side.

    Raises UnknownNameError with the nearest names, CardError for a damaged card, InputError for a side on a format
    that has two.
    """
    found = name if isinstance(name, Skeleton) else _find(name)
    if isinstance(name, str) and side is None and name.rpartition(":")[2] in ("left", "right"):
        side = "left" if name.endswith(":left") else "right"
    if side is None or found.side == side:
        return found
    if side not in ("left", "right"):
        raise InputError("side", expected="'left' or 'right'", got=repr(side))
    return found.with_side(side)


def _find(name: str | Path) -> Skeleton:
    text = str(name)
    if text.endswith(".toml"):
        return _card(Path(text)) if Path(text).is_file() else read_card(text)
    text = text.removesuffix(":left").removesuffix(":right").lower()
    paths = card_paths()
    if text in paths:
        return _card(paths[text])
    for path in paths.values():
        # Only cards that hold the word are parsed: a look-up stays fast, and a damaged card stops its own users alone.
        if f'"{text}"' in path.read_text(encoding="utf-8", errors="replace").lower():
            card = _card(path)
            if text in map(str.lower, (card.id, *card.aliases)):
                return card
    known = [*paths, *(alias for card in formats() for alias in card.aliases)]
    raise UnknownNameError(
        f"there is no skeleton format {str(name)!r}",
        expected=f"a known format, such as {', '.join(nearest(text, known) or ['coco_17'])}",
        mend="`skelbridge formats` lists them all; docs/cards.md shows how to add one.",
    )
