"""Building the bridge file: many bodies in many poses, one streaming pass, a birth certificate."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skelbridge import __version__
from skelbridge.body.hierarchy import find_joints
from skelbridge.body.measures import mean_adult
from skelbridge.body.model import VirtualBody
from skelbridge.body.motions import at_frames, load_motions, motion_files, read_motion
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.body.sample import BodyBatch, sample_bodies
from skelbridge.body.shapes import sample_shapes
from skelbridge.bridge.acae import ACAE, Joints
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
    source = _Source(motions, exclude, bodies, seed, random_share, progress)
    accumulator = MomentAccumulator(source.body.points.mirror)
    for batch in source:
        accumulator.add(batch.landmarks, batch.stature)
    return Bridge(accumulator.result(), _rest(source.body), {"schema": SCHEMA} | source.certificate())


def build_acae(
    motions: Sequence[str | Path] = (),
    *,
    bodies: int,
    latents: tuple[int, int],
    l1: float,
    random_share: float = 0.3,
    seed: int = 0,
    exclude: Iterable[str] = (),
    progress: bool = True,
) -> ACAE:
    """Fit the autoencoder over all formats of the registry on virtual bodies, not those of the bridge of that seed.

    Parameters and errors are those of `build_bridge` and of `skelbridge.bridge.acae.fit_acae`.
    """
    from skelbridge.bridge.acae import fit_acae

    source = _Source(motions, exclude, bodies, seed + 1, random_share, progress)
    joints = Joints.registry()
    rng, placement = np.random.default_rng([seed, 1]), joints.placement.astype(np.float32)
    poses = (placement @ _turned(batch, rng) for batch in source)
    acae = fit_acae(poses, joints, latents, l1=l1, sample=bodies, seed=seed, progress=progress)
    return replace(acae, certificate=acae.certificate | source.certificate())


def _turned(batch: BodyBatch, rng: np.random.Generator) -> NDArray[np.float32]:
    """The landmarks on a body of 1.7 m, turned about the vertical at random, so that no side faces an axis."""
    angle = rng.uniform(0, 2 * np.pi, len(batch))
    turn = np.zeros((len(batch), 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0] = np.sin(angle), -np.sin(angle)
    turn[:, 1, 1] = 1
    size = STATURE / batch.stature[:, None, None]
    return np.asarray((batch.landmarks * size) @ turn, dtype=np.float32)


class _Source:
    """Sampled bodies, batch by batch with a progress bar, and what they were made from."""

    def __init__(
        self, motions: Sequence[str | Path], exclude: Iterable[str], bodies: int, seed: int, random_share: float,
        progress: bool,
    ):  # fmt: skip
        left_out = set(exclude)
        self.files = [file for file in motion_files(motions) if file.stem not in left_out] if motions else []
        self.clips = load_motions(self.files) if self.files else []
        self.bodies, self.seed, self.progress = bodies, seed, progress
        self.random_share = random_share if self.clips else 1.0
        self.body, self.used = VirtualBody(), Counter[str]()

    def __iter__(self) -> Iterator[BodyBatch]:
        batches = sample_bodies(self.bodies, self.seed, self.clips, self.random_share, body=self.body)
        with tqdm(total=self.bodies, unit="body", disable=None if self.progress else True) as bar:
            for batch in batches:
                self.used.update(batch.clips)
                yield batch
                bar.update(len(batch))

    def certificate(self) -> dict[str, Any]:
        """What the bodies were made from, after all were drawn."""
        return {
            "built": datetime.date.today().isoformat(),
            "bodies": self.bodies,
            "seed": self.seed,
            "random_share": self.random_share,
            "motions": [_about(file, self.used[clip.name]) for file, clip in zip(self.files, self.clips, strict=True)],
            "sources": SOURCES,
            "versions": {"skelbridge": __version__}
            | {name: importlib.metadata.version(name) for name in ("anny", "numpy", "torch")},
            "landmarks_sha256": _digest(registry_dir() / "landmarks.toml"),
        }


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
