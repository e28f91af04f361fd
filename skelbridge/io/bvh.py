"""BVH (Biovision hierarchy): a tree of joints with offsets and channels, then a line of numbers a frame.

Rotations are degrees, intrinsic, multiplied in channel order, which may differ from joint to joint. The
length unit is not stored. Position channels of a joint replace its offset; the root's offset is not added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError
from skelbridge.io.files import PARTIAL, damaged, numbers, rate_from_period, read_text
from skelbridge.io.motion import Motion, rotation_product
from skelbridge.io.named import motion_poses
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton

CHANNELS = {f"{axis}{kind}": (kind, axis) for axis in "xyz" for kind in ("position", "rotation")}


@dataclass
class _Node:
    name: str
    parent: int
    offset: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()
    first_column: int = 0
    end_site: bool = False

    def columns(self, kind: str) -> tuple[str, list[int]]:
        """Axes of the channels of one kind in file order, and their columns in the motion table."""
        found = [
            (CHANNELS[name][1], self.first_column + k)
            for k, name in enumerate(self.channels)
            if CHANNELS[name][0] == kind
        ]
        return "".join(axis for axis, _ in found), [column for _, column in found]


def read_motion(path: str | Path, *, partial: bool = False) -> Motion:
    """Read a BVH file; an End Site becomes a joint named after its parent with `_end`.

    Raises FileFormatError with the line for a damaged file; without `partial` also where the frames are not
    as many as declared.
    """
    path = Path(path)
    lines = read_text(path).split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if not lines[0].strip().upper().startswith("HIERARCHY") or start is None:
        raise damaged(path, "line 1", expected="a BVH file: HIERARCHY, later MOTION", got=lines[0])
    nodes = _read_hierarchy(path, lines[1:start])
    table, fps = _read_table(path, lines, start, sum(len(node.channels) for node in nodes), partial)
    return _motion(nodes, table, fps)


def read(path: Path, card: Skeleton | None, *, partial: bool = False) -> Poses:
    """Read the joint positions of a BVH file, (frames, joints, 3), units unknown: see `read_motion`."""
    return motion_poses(read_motion(path, partial=partial), source=path, card=card)


def _read_hierarchy(path: Path, lines: list[str]) -> list[_Node]:
    """The nodes in file order, which is the order of their channels; parents come first."""
    nodes: list[_Node] = []
    stack: list[int] = []
    pending = False  # a node was named and its brace has not come yet
    column = 0
    for place, word, rest in _statements(lines):
        if pending != (word == "{") or (not stack and nodes and not pending):
            raise damaged(path, place, expected="{" if pending else "MOTION", got=f"{word} {rest}".strip())
        if word in ("ROOT", "JOINT", "END") and (word == "ROOT") == (not nodes):
            nodes.append(_Node(rest.strip(), parent=stack[-1] if stack else -1, end_site=word == "END"))
            pending = True
        elif word == "{":
            stack.append(len(nodes) - 1)
            pending = False
        elif word == "}" and stack:
            stack.pop()
        elif word == "OFFSET" and stack:
            nodes[stack[-1]].offset = _three(path, place, rest)
        elif word == "CHANNELS" and stack and not nodes[stack[-1]].end_site:
            nodes[stack[-1]].channels = _channels(path, place, rest)
            nodes[stack[-1]].first_column = column
            column += len(nodes[stack[-1]].channels)
        else:
            raise damaged(
                path,
                place,
                expected="ROOT, JOINT, End Site, OFFSET, CHANNELS or a brace",
                got=f"{word} {rest}",
            )
    if not nodes or stack or pending:
        raise damaged(path, "HIERARCHY", expected="a tree with all its braces closed", got=f"{len(stack)} left open")
    _name_uniquely(nodes)
    return nodes


def _statements(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """(place, first word in capitals, rest) of every statement; braces may stand on a line with others."""
    for number, line in enumerate(lines, start=2):
        for statement in re.split(r"([{}])", line):
            if statement.strip():
                word, *rest = statement.split(maxsplit=1)
                yield f"line {number}", word.upper(), rest[0] if rest else ""


def _three(path: Path, place: str, text: str) -> NDArray[np.float64]:
    values = numbers(text.split(), path, place)
    if len(values) != 3:
        raise damaged(path, place, expected="OFFSET with 3 numbers", got=text)
    return values


def _channels(path: Path, place: str, text: str) -> tuple[str, ...]:
    count, *names = text.lower().split() or [""]
    if count != str(len(names)) or len(set(names)) != len(names) or not set(names) <= set(CHANNELS):
        raise damaged(path, place, expected="CHANNELS, their count, and as many of Xposition ... Zrotation", got=text)
    return tuple(names)


def _name_uniquely(nodes: list[_Node]) -> None:
    """End sites are named after their parents; a repeated name gets _2, _3 ..."""
    seen: dict[str, int] = {}
    for node in nodes:
        name = f"{nodes[node.parent].name}_end" if node.end_site else node.name or "joint"
        seen[name] = seen.get(name, 0) + 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def _read_table(
    path: Path, lines: list[str], start: int, width: int, partial: bool
) -> tuple[NDArray[np.float64], float | None]:
    """The numbers of the MOTION part, (frames, channels), and the frame rate."""
    head = [line.partition(":") for line in lines[start + 1 : start + 3]]
    if [key.strip().lower() for key, _, _ in head] != ["frames", "frame time"]:
        got = " / ".join(lines[start + 1 : start + 3])
        raise damaged(path, f"line {start + 2}", expected="`Frames:` and `Frame Time:` after MOTION", got=got)
    declared, period = (value.strip() for _, _, value in head)
    if not declared.isdecimal() or len(declared) > 12:
        raise damaged(path, f"line {start + 2}", expected="a number of frames", got=declared)
    numbers([period], path, f"line {start + 3}")
    words = " ".join(lines[start + 3 :]).split()
    frames = len(words) // max(width, 1)
    if partial and frames:
        words = words[: frames * width]
    elif len(words) != int(declared) * width or not words:
        raise damaged(
            path,
            f"line {start + 2}, Frames",
            expected=f"{declared} frames of {width} numbers",
            got=f"{len(words)} numbers, {len(words) / max(width, 1):.1f} frames",
            mend=PARTIAL,
        )
    try:
        table = numbers(words, path, "MOTION")
    except FileFormatError:
        for number, line in enumerate(lines[start + 3 :], start=start + 4):
            numbers(line.split(), path, f"line {number}")
        raise
    return table.reshape(-1, width), rate_from_period(period)


def _motion(nodes: list[_Node], table: NDArray[np.float64], fps: float | None) -> Motion:
    parents = np.array([node.parent for node in nodes], dtype=np.intp)
    offsets = np.array([node.offset for node in nodes])
    rotations = np.broadcast_to(np.eye(3), (len(table), len(nodes), 3, 3)).copy()
    for order, joints in _joints_by_order(nodes).items():
        columns = np.array([nodes[joint].columns("rotation")[1] for joint in joints], dtype=np.intp)
        rotations[:, joints] = rotation_product(order, np.radians(table[:, columns]))
    translations = _translations(nodes, table, offsets)
    root_positions = translations[:, 0] if translations is not None else np.tile(offsets[0], (len(table), 1))
    moving = any(node.parent >= 0 and node.columns("position")[1] for node in nodes)
    offsets[0] = 0
    # A node's rotation turns the segments of its children (see Motion); the root's stays with the root.
    segments = rotations[:, parents]
    segments[:, parents == 0] = np.eye(3)
    segments[:, 0] = rotations[:, 0]
    names = tuple(node.name for node in nodes)
    return Motion(names, parents, offsets, segments, root_positions, fps, None, translations if moving else None)


def _joints_by_order(nodes: list[_Node]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for joint, node in enumerate(nodes):
        groups.setdefault(node.columns("rotation")[0], []).append(joint)
    return groups


def _translations(
    nodes: list[_Node], table: NDArray[np.float64], offsets: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Offsets over time, (frames, joints, 3), where joints have position channels; None where none has."""
    if not any(node.columns("position")[1] for node in nodes):
        return None
    moved = np.tile(offsets, (len(table), 1, 1))
    for joint, node in enumerate(nodes):
        for axis, column in zip(*node.columns("position"), strict=True):
            moved[:, joint, "xyz".index(axis)] = table[:, column]
    return moved
