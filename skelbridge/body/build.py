"""Building the bridge file: many bodies in many poses, one streaming pass, a birth certificate."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from skelbridge import __version__
from skelbridge.body.hierarchy import find_joints
from skelbridge.body.measures import mean_adult
from skelbridge.body.model import VirtualBody
from skelbridge.body.motions import at_frames, load_motions, motion_files, read_motion
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.body.sample import sample_bodies
from skelbridge.body.shapes import sample_shapes
from skelbridge.bridge.file import SCHEMA, Bridge, RestBody
from skelbridge.bridge.moments import STATURE, MomentAccumulator
from skelbridge.io.files import replacing
from skelbridge.landmarks import registry_dir

SOURCES = [
    {"what": "virtual body: anny", "licence": "code Apache-2.0; MakeHuman assets CC0"},
    {
        "what": "motion: CMU Graphics Lab Motion Capture Database, where motion files are listed",
        "licence": "free for all uses; created with funding from NSF EIA-0196217",
    },
]


def build_bridge(
    motions: Sequence[str | Path] = (),
    *,
    bodies: int,
    random_share: float = 0.3,
    seed: int = 0,
    exclude: Iterable[str] = (),
    progress: bool = True,
) -> Bridge:
    """Sample bodies and take their moments; memory does not grow with their number.

    Parameters: motions, BVH or ASF/AMC files or folders of them (none: random poses only); bodies, how many;
    random_share of them in random poses; exclude, clips to leave out, by the stem of their file name. The same
    arguments give the same moments. Raises InputError, FileFormatError and MissingExtraError as the body does.
    """
    left_out = set(exclude)
    files = [file for file in motion_files(motions) if file.stem not in left_out] if motions else []
    clips = load_motions(files) if files else []
    body = VirtualBody()
    accumulator, used = MomentAccumulator(body.points.mirror), Counter[str]()
    batches = sample_bodies(bodies, seed, clips, random_share, body=body)
    with tqdm(total=bodies, unit="body", disable=None if progress else True) as bar:
        for batch in batches:
            accumulator.add(batch.landmarks, batch.stature)
            used.update(batch.clips)
            bar.update(len(batch))
    certificate = {
        "schema": SCHEMA,
        "built": datetime.date.today().isoformat(),
        "bodies": bodies,
        "seed": seed,
        "random_share": random_share if clips else 1.0,
        "motions": [_about(file, used[clip.name]) for file, clip in zip(files, clips, strict=True)],
        "sources": SOURCES,
        "versions": {"skelbridge": __version__}
        | {name: importlib.metadata.version(name) for name in ("anny", "numpy", "torch")},
        "landmarks_sha256": _digest(registry_dir() / "landmarks.toml"),
    }
    return Bridge(accumulator.result(), _rest(body), certificate)


def _about(file: Path, bodies: int) -> dict[str, Any]:
    return {"clip": file.stem, "sha256": _digest(file), "bodies": bodies}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rest(body: VirtualBody) -> RestBody:
    """The mean adult in the reference pose, scaled to the stature of the moments."""
    shape, pose = mean_adult(), np.broadcast_to(np.eye(3), (len(body.bones), 3, 3))
    scale = STATURE / float(body.stature(shape)[0])
    return RestBody(body.rest(shape)[0] * scale, body.mesh(pose, shape) * scale, body.triangles)


def build_motion(clip: str | Path, out: str | Path, *, source: str, seed: int = 0, fps: float = 20.0) -> int:
    """Write the landmarks of one random adult that moves as in a clip, for the demo; the number of frames.

    The npz file holds `landmarks` (frames, landmarks, 3) float16 in mm on a body of 1.7 m, the pelvis at the origin,
    `names`, `fps` and `source`: what the clip is, and its licence.
    """
    motion, body = read_motion(clip), VirtualBody()
    step = max(round((motion.fps or 120.0) / fps), 1)
    motion = upright(motion, find_joints(motion))
    poses = retarget(at_frames(motion, np.arange(1, len(motion), step)), body)
    shape = sample_shapes(body, 1, np.random.default_rng(seed), faces=False)
    points = np.concatenate([body.landmarks(pose, shape) for pose in poses])
    points = (points - points[:, [body.points.index("pelvis")]]) * (STATURE / body.stature(shape)[0])
    with replacing(Path(out)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            landmarks=points.astype(np.float16),  # to half a millimetre
            names=np.array(body.points.names),
            fps=(motion.fps or 120.0) / step,
            source=source,
        )
    return len(points)
