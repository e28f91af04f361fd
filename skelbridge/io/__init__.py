"""Pose files in and out, one module a container: `read(path)` and `write(poses, path)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io import (
    arrays,
    asf_amc,
    bvh,
    bvh_writer,
    c3d,
    coco,
    csv_files,
    mediapipe,
    mmpose,
    openpose,
    trc,
)
from skelbridge.io.files import damaged
from skelbridge.io.json_files import load_json
from skelbridge.poses import Poses, Units
from skelbridge.skeletons import Side, Skeleton, skeleton

__all__ = ["CONTAINERS", "Container", "read", "write", "writer_for"]


@dataclass(frozen=True)
class Container:
    """A kind of file: what it is called, its suffix ("" for a folder), and who reads and writes it.

    recognises: of the containers that share .json, the test of the parsed content.
    """

    name: str
    suffix: str
    title: str
    read: Callable[..., Poses]
    write: Callable[[Poses, Path], list[str]] | None = None
    recognises: Callable[[Any], bool] | None = None

    @property
    def options(self) -> list[str]:
        """Options of `read` that this container has besides the common ones."""
        parameters = inspect.signature(self.read).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "content"]


#: All containers; for writing the first of a suffix is taken.
CONTAINERS: tuple[Container, ...] = (
    Container("bvh", ".bvh", "BVH motion", bvh.read, bvh_writer.write),
    Container("asf_amc", ".amc", "ASF/AMC motion (CMU)", asf_amc.read),
    Container("c3d", ".c3d", "C3D markers", c3d.read),
    Container("trc", ".trc", "TRC markers (OpenSim)", trc.read, trc.write),
    Container("npz", ".npz", "NumPy archive", arrays.read_npz, arrays.write_npz),
    Container("npy", ".npy", "NumPy array", arrays.read_npy),
    Container("csv", ".csv", "table with columns joint_x, joint_y ...", csv_files.read, csv_files.write),
    Container("coco", ".json", "COCO key points", coco.read, coco.write, coco.is_annotations),
    Container("coco results", ".json", "COCO or AlphaPose results", coco.read_results, None, coco.is_results),
    Container("openpose frame", ".json", "a frame of OpenPose", openpose.read, None, openpose.is_frame),
    Container("mmpose", ".json", "mmpose predictions", mmpose.read, None, mmpose.recognises),
    Container("mediapipe", ".json", "MediaPipe landmarks", mediapipe.read, None, mediapipe.recognises),
    Container("openpose", "", "a folder of OpenPose JSON", openpose.read_folder, openpose.write),
)


def read(
    path: str | Path,
    format: str | Path | Skeleton | None = None,
    *,
    side: Side | None = None,
    units: Units | None = None,
    fps: float | None = None,
    **options: Any,
) -> Poses:
    """Read poses from a file, or from a folder of OpenPose frames.

    The container is known by the suffix, that of a JSON file by its content. `format` (id, alias, card file)
    says which skeleton the points are in, `side` which hand; without them the names in the file or the number
    of points decide, and `meta["notes"]` says so. `units` and `fps` set what the file does not say. Further
    options are the container's own, such as `asf_path` (AMC), `part` and `progress` (OpenPose), `space`
    (MediaPipe), `key` (npz), `partial` (BVH, C3D, TRC).

    Raises FileFormatError for a file that is missing, damaged or of no known kind, InputError for a format or
    an option that does not fit, UnknownNameError for an unknown format.
    """
    path = Path(path)
    card = None if format is None else skeleton(format, side)
    container, content = _container_of(path)
    unknown = sorted(set(options) - set(container.options))
    if unknown:
        known = ", ".join(container.options) or "none"
        raise InputError(f"options of {container.title}", expected=f"of its own: {known}", got=", ".join(unknown))
    if container.recognises is not None:
        options["content"] = content
    try:
        poses = container.read(path, card, **options)
    except MemoryError:
        raise damaged(path, "", expected="poses that fit into memory", got="too many") from None
    return replace(poses, units=units or poses.units, fps=fps or poses.fps)


def _container_of(path: Path) -> tuple[Container, Any]:
    """The container of a path, and the content of a JSON file, which it takes to know."""
    suffix = "" if path.is_dir() else path.suffix.lower()
    found = [container for container in CONTAINERS if container.suffix == suffix]
    if not path.exists():
        raise FileFormatError(str(path), expected="a file or a folder", got="nothing there", mend="Check the path.")
    if not found or (not suffix and not path.is_dir()):
        kinds = ", ".join(dict.fromkeys(c.suffix or "folder of OpenPose JSON" for c in CONTAINERS))
        raise FileFormatError(str(path), expected=f"one of {kinds}", got=suffix or "no suffix")
    if suffix != ".json":
        return found[0], None
    content = load_json(path)
    for container in found:
        if container.recognises is not None and container.recognises(content):
            return container, content
    titles = ", ".join(container.title for container in found)
    got = type(content).__name__
    if isinstance(content, dict):
        got = f"keys {', '.join(map(str, list(content)[:8]))}"
    raise damaged(path, "", expected=f"one of: {titles}", got=got, mend="Key points are looked for, not boxes.")


def write(poses: Poses, path: str | Path) -> list[str]:
    """Write poses; the suffix says the container (.json: COCO), a path without one is an OpenPose folder.

    Returns what the container could not keep, one line each. The file appears as a whole or not at all.
    Raises InputError for a container that is not written, or cannot hold these poses.
    """
    return writer_for(path)(poses, Path(path))


def writer_for(path: str | Path) -> Callable[[Poses, Path], list[str]]:
    """The function that writes such a file; InputError, with the kinds that are written, if there is none."""
    suffix = Path(path).suffix.lower()
    writers = {c.suffix: c.write for c in reversed(CONTAINERS) if c.write is not None}
    if suffix not in writers:
        kinds = ", ".join(known or "no suffix (OpenPose folder)" for known in reversed(writers))
        raise InputError(f"the kind of {path}", expected=f"one of {kinds}", got=suffix)
    return writers[suffix]
