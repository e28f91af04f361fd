"""Which joint of a motion file is which: tables of well-known hierarchies, told apart by joint names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skelbridge.errors import InputError
from skelbridge.io.motion import Motion
from skelbridge.landmarks import read_toml

OPTIONAL = ("toe", "thumb", "fingers")


@dataclass(frozen=True)
class Limbs:
    """Joint indices of one side. `thumb`: a point on that side of the hand; `fingers`: thumb first."""

    hip: int
    knee: int
    ankle: int
    ball: int
    shoulder: int
    elbow: int
    wrist: int
    hand: int
    toe: int | None = None
    thumb: int | None = None
    fingers: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Joints:
    """Joint indices of a motion by their role; see hierarchies.toml. `sides`: left, right."""

    name: str
    pelvis: int
    spine: tuple[int, ...]
    neck: tuple[int, ...]
    head: int
    sides: tuple[Limbs, Limbs]


def find_joints(motion: Motion) -> Joints:
    """The roles of a motion's joints, from the table that covers most of them.

    Raises InputError for a hierarchy that none of the tables fits; it lists what each one misses.
    """
    # Exporters put a name space before the joint's own name: "mixamorig:Hips".
    known = {name.rpartition(":")[2]: index for index, name in enumerate(motion.names)}
    missing: dict[str, list[str]] = {}
    found = []
    for table in _tables():
        lacking: list[str] = []
        joints = _fit(table, known, lacking)
        if lacking:
            missing[table["name"]] = lacking
        else:
            found.append(joints)
    if not found:
        looked = "; ".join(f"{name} (not there: {', '.join(names[:4])})" for name, names in missing.items())
        raise InputError(
            "the motion's hierarchy is not a known one",
            expected=f"the joints of one of these: {looked}",
            got=f"{', '.join(motion.names[:8])} ...",
            mend="Rename the joints as in one of them.",
        )
    return max(found, key=_joints_used)


def _joints_used(joints: Joints) -> int:
    return len(joints.spine) + len(joints.neck) + sum(side.toe is not None for side in joints.sides)


@lru_cache(maxsize=1)
def _tables() -> list[dict[str, Any]]:
    return read_toml(Path(__file__).parent / "hierarchies.toml")["hierarchy"]


def _fit(table: dict[str, Any], known: dict[str, int], lacking: list[str]) -> Joints:
    """The table's joints in a motion; names that are not there are added to `lacking`."""

    def look_up(names: str | list[str], optional: bool = False, **side: str) -> int | None:
        options = [name.format(**side) for name in ([names] if isinstance(names, str) else names)]
        index = next((known[name] for name in options if name in known), None)
        if index is None and not optional:
            lacking.append(" or ".join(options))
        return index

    def required(names: str | list[str]) -> int:
        found = look_up(names)
        return -1 if found is None else found

    def limbs(word: str) -> Limbs:
        side = {"s": word, "i": word[0]}
        roles: dict[str, Any] = {
            role: look_up(names, role in OPTIONAL, **side) for role, names in {**table["leg"], **table["arm"]}.items()
        }
        fingers = [tuple(look_up(names, True, **side) for names in finger) for finger in table.get("fingers", [])]
        complete = bool(fingers) and all(index is not None for finger in fingers for index in finger)
        return Limbs(**roles, fingers=tuple(fingers) if complete else ())  # type: ignore[arg-type]

    left, right = (limbs(word) for word in table["sides"])
    return Joints(
        table["name"],
        required(table["pelvis"]),
        tuple(required(name) for name in table["spine"]),
        tuple(required(name) for name in table["neck"]),
        required(table["head"]),
        (left, right),
    )
