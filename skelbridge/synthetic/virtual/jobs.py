"""What is to be written of a virtual dataset: stores, and jobs that any process can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from skelbridge.body.motions import PoseClip, read_clips, without_repeats
from skelbridge.body.render import Device
from skelbridge.errors import InputError
from skelbridge.store import JobRecord, JobWriter
from skelbridge.synthetic.virtual.pictures import samples, shots
from skelbridge.synthetic.virtual.scenes import Recording
from skelbridge.synthetic.virtual.spec import VirtualDataset

#: Goes up when the same arguments give other samples.
VERSION = 1
#: About so many samples make a job.
JOB = 120
#: One in so many of the user's clips is kept for the test split.
HELD_OUT = 5


@dataclass(frozen=True)
class Target:
    """A store to write: its file, the dataset whose labels it has, and whether these are truth: test split, 3D."""

    path: Path
    labels: VirtualDataset
    truth: bool

    @property
    def flat(self) -> bool:
        """Whether its labels are 2D."""
        return self.labels.labels == "2d" and not self.truth


@dataclass(frozen=True)
class Job:
    """Recordings of a split from number `first` on, and how many samples each gives."""

    split: str
    first: int
    counts: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.split}-{self.first:05}"

    @property
    def count(self) -> int:
        """Its samples."""
        return sum(self.counts)


@dataclass(frozen=True)
class Plan:
    """How a dataset is made. train, test: samples of these splits. targets: its own store, then those of truth."""

    spec: VirtualDataset
    train: int
    test: int
    seed: int
    motions: Path | None
    device: Device
    targets: tuple[Target, ...]

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order of their samples in the store."""
        spec, jobs = self.spec, []
        each = max(1, round(spec.frames * spec.cameras.count * sum(spec.look.people) / 2))
        many = max(1, JOB // each)
        for split, count in (("train", self.train), ("test", self.test)):
            counts = [min(each, count - start) for start in range(0, count, each)]
            jobs += [Job(split, first, tuple(counts[first : first + many])) for first in range(0, len(counts), many)]
        return jobs

    def about(self, target: Target) -> dict[str, Any]:
        """What must be the same when the work goes on, plain values."""
        clips = [] if self.motions is None else [clip.name for clip in clips_of(self.motions, "train")]
        return {
            "generator": VERSION, "spec": self.spec.model_dump(mode="json"), "seed": self.seed, "train": self.train,
            "test": self.test, "motions": clips, "labels": target.labels.model_dump(mode="json"),
            "truth": target.truth,
        }  # fmt: skip


def targets(spec: VirtualDataset, out: Path, truth: Sequence[VirtualDataset]) -> tuple[Target, ...]:
    """The dataset's own store and those of truth; where its own labels are 3D, its test split is its truth."""
    others = [other for other in truth if other.name != spec.name or spec.labels == "2d"]
    formats = [other.skeleton for other in others]
    if len(set(formats)) < len(formats):
        raise InputError("datasets whose labels are wanted", expected="each of another format", got=", ".join(formats))
    files = [out.with_name(f"{out.stem}-test-{format}.h5") for format in formats]
    return Target(out, spec, False), *(Target(file, o, True) for file, o in zip(files, others, strict=True))


def run_job(plan: Plan, job: Job, which: tuple[int, ...]) -> dict[int, JobRecord]:
    """Make the samples of a job for some of the plan's targets, in any process."""
    chosen = {n: plan.targets[n] for n in which}
    writers = {
        n: JobWriter(target.path, job.name, plan.spec.name, job.split, target.labels.skeleton)
        for n, target in chosen.items()
    }
    try:
        clips = clips_of(plan.motions, job.split)
        for offset, count in enumerate(job.counts):
            recording = Recording(plan.spec, plan.seed, job.split, job.first + offset, clips)
            found = list(islice(shots(recording, plan.seed, plan.device), count))
            for n, target in chosen.items():
                noise = job.split == "train"
                writers[n].add(samples(target.labels, recording, found, plan.seed, noise=noise, flat=target.flat))
        return {n: writer.finish([job.name], {"kept": {job.split: job.count}}) for n, writer in writers.items()}
    finally:
        for writer in writers.values():
            writer.close()


@lru_cache(maxsize=4)
def clips_of(motions: Path | None, split: str) -> tuple[PoseClip, ...]:
    """The user's clips of a split: one in `HELD_OUT` is the test's, first of all the first."""
    if motions is None:
        return ()
    kept = [clip for clip in without_repeats(read_clips(motions)) if len(clip.poses)]
    chosen = [clip for number, clip in enumerate(kept) if (number % HELD_OUT == 0) == (split == "test")]
    if not chosen:
        raise InputError(f"motions in {motions}", expected="two clips at least, for both splits", got=len(kept))
    return tuple(chosen)
