"""ASF/AMC (Acclaim, the CMU motion capture database): a skeleton file and a motion file.

A bone carries its own offset (unit direction in the global axes of the rest pose, times length) and ends at
the joint of its name. Its rotation is C M C^-1 relative to its parent, with C from the bone's `axis` and M
from the motion; both multiply rotations about fixed axes in the order written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError
from skelbridge.io.files import damaged, numbers, read_text
from skelbridge.io.motion import Motion, rotation_product
from skelbridge.io.named import motion_poses
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton

INCH_MM = 25.4
TOGETHER = "Do the skeleton and the motion belong together?"
DEGREES_OF_FREEDOM = ("tx", "ty", "tz", "rx", "ry", "rz", "l")


@dataclass(frozen=True)
class Bone:
    """One bone: `frame` is C, the axes of its rotations; `dof` says what the numbers of its AMC line are."""

    name: str
    offset: NDArray[np.float64]
    frame: NDArray[np.float64]
    dof: tuple[str, ...]


@dataclass(frozen=True)
class Asf:
    """A skeleton: bones by name, the root first; parents by name; `units` in mm per file unit, or None."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    units: float | None
    radians_per_unit: float


def read_motion(amc_path: str | Path, asf_path: str | Path | None = None) -> Motion:
    """Read an AMC file with its ASF: `asf_path`, or the subject's beside it (01.asf for 01_04.amc).

    The frame rate is not stored (CMU: mostly 120 Hz), so `fps` is None. Lengths are in file units; `units` is
    how many millimetres one has: the header's length is an inverted number of inches, and 1 says nothing.
    Raises FileFormatError with the place for a damaged file or a motion that does not fit the skeleton.
    """
    amc_path = Path(amc_path)
    asf = read_asf(Path(asf_path) if asf_path is not None else _asf_beside(amc_path))
    columns, radians = _read_amc(amc_path, asf)
    names = tuple(asf.bones)
    frames = len(next(iter(columns["root"].values())))
    rotations = np.empty((frames, len(names), 3, 3))
    for joint, bone in enumerate(asf.bones.values()):
        # Fixed axes in the order written: the last factor stands leftmost.
        turns = [word for word in reversed(bone.dof) if word.startswith("r")]
        angles = [columns[bone.name][word] for word in turns]
        stacked = np.array(angles).reshape(len(turns), frames).T * radians
        motion = rotation_product("".join(word[1] for word in turns), stacked)
        rotations[:, joint] = bone.frame @ motion @ bone.frame.T
    zero = np.zeros(frames)
    root = np.stack([columns["root"].get(word, zero) for word in ("tx", "ty", "tz")], axis=-1)
    offsets = np.array([bone.offset for bone in asf.bones.values()])
    root, offsets[0] = root + offsets[0], 0
    parents = np.array([names.index(asf.parents[name]) if name in asf.parents else -1 for name in names], dtype=np.intp)
    return Motion(names, parents, offsets, rotations, root, units=asf.units)


def read(path: Path, card: Skeleton | None, *, asf_path: str | Path | None = None) -> Poses:
    """Read the bone ends of an AMC file, (frames, joints, 3), in mm where the ASF tells: `read_motion`."""
    return motion_poses(read_motion(path, asf_path), source=path, card=card)


def _asf_beside(amc_path: Path) -> Path:
    """The skeleton of a motion: of the same name, of the subject prefix, or the only one in the folder."""
    for stem in (amc_path.stem, amc_path.stem.rpartition("_")[0], amc_path.stem.partition("_")[0]):
        if stem and (found := amc_path.with_name(f"{stem}.asf")).is_file():
            return found
    only = sorted(amc_path.parent.glob("*.asf"))
    if len(only) == 1:
        return only[0]
    raise FileFormatError(
        f"the skeleton of {amc_path}",
        expected=f"{amc_path.stem.rpartition('_')[0] or amc_path.stem}.asf beside it",
        got=f"{len(only)} other .asf files there" if only else "no .asf file there",
        mend="Give asf_path=.",
    )


def read_asf(path: Path) -> Asf:
    """Read an ASF skeleton; bones come in the order of a walk through the hierarchy, parents first."""
    sections = _sections(path)
    for wanted in ("root", "bonedata", "hierarchy"):
        if wanted not in sections:
            raise damaged(path, "", expected=f"a section :{wanted}", got=f"sections {', '.join(sections) or 'none'}")
    units = {words[0].lower(): words[1] for _, words in sections.get("units", []) if len(words) == 2}
    length = float(numbers([units.get("length", "1")], path, ":units, length")[0])
    if length <= 0:
        raise damaged(path, ":units, length", expected="a positive number", got=length)
    radians = 1.0 if units.get("angle", "deg").lower().startswith("rad") else np.pi / 180
    bones = {"root": _root_bone(path, sections["root"], radians)}
    for place, block in _blocks(path, sections["bonedata"]):
        bone = _bone(path, place, block, radians)
        if bone.name in bones:
            raise damaged(path, place, expected="every bone once", got=bone.name)
        bones[bone.name] = bone
    parents = _parents(path, sections["hierarchy"], bones)
    order = _parents_first(path, parents, bones)
    return Asf({name: bones[name] for name in order}, parents, INCH_MM / length if length != 1 else None, radians)


Lines = list[tuple[str, list[str]]]


def _sections(path: Path) -> dict[str, Lines]:
    """Section name -> its lines as (place, words); a comment begins with #."""
    sections: dict[str, Lines] = {}
    current: Lines = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        words = line.partition("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append((f"line {number}", words))
    return sections


def _blocks(path: Path, lines: Lines) -> list[tuple[str, dict[str, list[str]]]]:
    """The begin ... end blocks of :bonedata as (place, field -> words); limits may go over several lines."""
    blocks: list[tuple[str, dict[str, list[str]]]] = []
    inside = False
    for place, (word, *rest) in lines:
        if word in ("begin", "end"):
            if inside == (word == "begin"):
                raise damaged(path, place, expected="begin and end in turn", got=word)
            inside = word == "begin"
            if inside:
                blocks.append((place, {}))
        elif not inside:
            raise damaged(path, place, expected="begin", got=word)
        else:
            blocks[-1][1].setdefault(word.lower(), rest)
    if inside:
        raise damaged(path, blocks[-1][0], expected="end of the bone", got="end of the section")
    return blocks


def _root_bone(path: Path, lines: Lines, radians: float) -> Bone:
    fields = {words[0].lower(): words[1:] for _, words in lines}
    dof = tuple(word.lower() for word in fields.get("order", []))
    _check_dof(path, ":root, order", dof)
    position = _three(path, ":root, position", fields.get("position", ["0", "0", "0"]))
    turn = _three(path, ":root, orientation", fields.get("orientation", ["0", "0", "0"])) * radians
    return Bone("root", position, _frame(path, ":root, axis", fields.get("axis", ["XYZ"])[-1], turn), dof)


def _bone(path: Path, place: str, fields: dict[str, list[str]], radians: float) -> Bone:
    for wanted in ("name", "direction", "length", "axis"):
        if not fields.get(wanted):
            raise damaged(path, f"{place}, bone", expected=f"a field {wanted}", got=f"fields {', '.join(fields)}")
    name = fields["name"][0]
    place = f"{place}, bone {name}"
    length = numbers(fields["length"][:1], path, f"{place}, length")[0]
    offset = _three(path, f"{place}, direction", fields["direction"]) * length
    turn = _three(path, f"{place}, axis", fields["axis"][:3]) * radians
    dof = tuple(word.lower() for word in fields.get("dof", []))
    _check_dof(path, f"{place}, dof", dof)
    return Bone(name, offset, _frame(path, f"{place}, axis", (fields["axis"][3:] or ["XYZ"])[0], turn), dof)


def _frame(path: Path, place: str, order: str, turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix C of fixed-axis rotations by `turn` (about x, y, z) in the written order."""
    order = order.lower()
    if sorted(order) != ["x", "y", "z"]:
        raise damaged(path, place, expected="an order such as XYZ", got=order)
    backwards = order[::-1]
    return rotation_product(backwards, turn[["xyz".index(axis) for axis in backwards]])


def _three(path: Path, place: str, words: list[str]) -> NDArray[np.float64]:
    if len(words) != 3:
        raise damaged(path, place, expected="3 numbers", got=" ".join(words))
    return numbers(words, path, place)


def _check_dof(path: Path, place: str, dof: tuple[str, ...]) -> None:
    if len(set(dof)) != len(dof) or not set(dof) <= set(DEGREES_OF_FREEDOM):
        raise damaged(path, place, expected=f"each at most once: {' '.join(DEGREES_OF_FREEDOM)}", got=" ".join(dof))


def _parents(path: Path, lines: Lines, bones: dict[str, Bone]) -> dict[str, str]:
    """Bone -> parent, from lines `parent child child ...`."""
    parents: dict[str, str] = {}
    for place, (parent, *children) in lines:
        if parent in ("begin", "end") and not children:
            continue
        for name in (parent, *children):
            if name not in bones:
                raise damaged(path, f"{place}, :hierarchy", expected="a bone of :bonedata", got=name)
        for child in children:
            if child in parents or child == "root":
                raise damaged(path, f"{place}, :hierarchy", expected="one parent for each bone", got=child)
            parents[child] = parent
    return parents


def _parents_first(path: Path, parents: dict[str, str], bones: dict[str, Bone]) -> list[str]:
    """The bones as met on a walk from the root, depth first."""
    children: dict[str, list[str]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    order, waiting = [], ["root"]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(children.get(order[-1], []))
    if len(order) != len(bones):
        lost = [name for name in bones if name not in set(order)]
        raise damaged(path, ":hierarchy", expected="every bone below the root", got=f"not so: {lost[:5]}")
    return order


Columns = dict[str, dict[str, NDArray[np.float64]]]


def _read_amc(path: Path, asf: Asf) -> tuple[Columns, float]:
    """Bone -> degree of freedom -> its values over time, (frames,), and radians per unit of angle.

    Every frame lists the same bones in the same order, so each value stands in every n-th word of the file.
    """
    words, radians = _amc_words(path, asf.radians_per_unit)
    layout = _first_frame(path, words, asf)
    width = 1 + sum(1 + len(asf.bones[name].dof) for name in layout)
    frames = len(words) // width
    columns: Columns = {name: {} for name in asf.bones}
    column = 1
    for name in layout:
        for frame, word in enumerate(words[column::width]):
            if word != name:
                raise damaged(path, f"frame {frame + 1}", expected=f"the bone {name}", got=word)
        for offset, dof in enumerate(asf.bones[name].dof, start=column + 1):
            values = numbers(words[offset::width], path, f"bone {name}, {dof}")
            if name != "root" and not dof.startswith("r") and values.any():
                raise damaged(
                    path,
                    f"bone {name}, {dof}",
                    expected="rotations only",
                    got="a bone that moves or stretches",
                )
            columns[name][dof] = values
        column += 1 + len(asf.bones[name].dof)
    if len(words) % width:
        got = f"{len(words)} words, {frames} frames and {len(words) % width} over"
        raise damaged(path, f"frame {frames + 1}", expected=f"{width} words a frame", got=got)
    return columns, radians


def _amc_words(path: Path, radians: float) -> tuple[list[str], float]:
    words: list[str] = []
    for line in read_text(path).split("\n"):
        if line.lstrip().startswith(":"):
            header = line.strip().upper()
            radians = {":DEGREES": np.pi / 180, ":RADIANS": 1.0}.get(header, radians)
        else:
            words += line.partition("#")[0].split()
    return words, radians


def _first_frame(path: Path, words: list[str], asf: Asf) -> list[str]:
    """The bones of the first frame in their order; all that have degrees of freedom must be there."""
    if not words or not words[0].isdecimal():
        raise damaged(path, "frame 1", expected="a frame number", got=" ".join(words[:1]) or "no motion")
    layout: list[str] = []
    position = 1
    while position < len(words) and not words[position].isdecimal():
        name = words[position]
        if name not in asf.bones or name in layout:
            place = f"frame 1, bone {len(layout) + 1}"
            raise damaged(path, place, expected="a bone of the skeleton, once", got=name, mend=TOGETHER)
        layout.append(name)
        position += 1 + len(asf.bones[name].dof)
    lost = [name for name, bone in asf.bones.items() if bone.dof and name not in layout]
    if lost or "root" not in layout:
        got = f"none for {', '.join(lost[:5] or ['root'])}"
        raise damaged(path, "frame 1", expected="all bones that move", got=got, mend=TOGETHER)
    return layout
