"""Virtual datasets written into stores, in jobs that any number of processes share.

>>> store = write_virtual("virtual_lab", "lab.h5", train=2000, test=300, workers=2)

A job is some recordings of a split; what was committed stays, and the same call goes on from there. Every sample
follows from the dataset, the seed, and the recording's number, so the samples do not depend on the processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from skelbridge.body.motions import PoseClip, read_clips, without_repeats
from skelbridge.body.render import Device
from skelbridge.datasets.ingestion import worker_pool
from skelbridge.errors import InputError, need
from skelbridge.store import JobRecord, JobWriter, Store, StoreWriter, merge, open_store
from skelbridge.synthetic.virtual.pictures import samples, shots
from skelbridge.synthetic.virtual.scenes import Recording
from skelbridge.synthetic.virtual.spec import VirtualDataset, virtual_dataset

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


@dataclass(frozen=True)
class Job:
    """Recordings of a split, first up to last, and how many samples each gives."""

    split: str
    first: int
    counts: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.split}-{self.first:05}"


@dataclass(frozen=True)
class Plan:
    """How a dataset is made."""

    spec: VirtualDataset
    seed: int
    motions: Path | None
    device: Device
    main: Target
    truth: tuple[Target, ...]


def write_virtual(
    spec: str | Path | VirtualDataset,
    out: str | Path,
    *,
    train: int,
    test: int,
    seed: int = 0,
    workers: int = 0,
    motions: str | Path | None = None,
    truth: Sequence[str | Path | VirtualDataset] = (),
    packed: int | None = None,
    device: Device = "cpu",
    progress: bool = True,
) -> Store:
    """Write a virtual dataset with `train` and `test` samples; where the store is there, go on with what is missing.

    The splits share no people, places, poses or clips. Labels of the test split are without the noise that differs from
    label to label; the systematic one stays.

    spec: its name in the registry, a TOML file or the thing itself. workers: processes to work in, 0 for this one.
    motions: a folder of BVH and AMC files whose poses are taken as well. truth: datasets in whose way the same test
    pictures are labelled, too, in 3D: each makes a store `<out>-test-<format>.h5`, whose dataset is that of the
    pictures. packed: another side for the packed pictures. device: "cpu", or "gpu" for an NVIDIA one.

    Raises InputError for wrong arguments and a store that was begun otherwise, CardError and UnknownNameError as
    `virtual_dataset`, MissingExtraError without the extra [virtual].
    """
    need("mitsuba", "virtual")
    chosen = virtual_dataset(spec)
    if packed is not None:
        chosen = VirtualDataset.model_validate({**chosen.model_dump(), "packed": packed})
    if train < 0 or test < 0 or train + test < 1:
        raise InputError(
            "samples to write", expected="numbers of at least 0, and one in all", got=f"{train} and {test}"
        )
    if workers < 0 or seed < 0:
        raise InputError("workers and seed", expected="0 or more", got=f"{workers} and {seed}")
    folder = None if motions is None else Path(motions).absolute()
    clips = [] if folder is None else sorted(clip.name for clip in _clips(folder, "train"))
    out = Path(out).absolute()
    plan = Plan(chosen, seed, folder, device, Target(out, chosen, False), _truths(chosen, out, truth))
    about = {"generator": VERSION, "spec": chosen.model_dump(mode="json"), "seed": seed, "train": train, "test": test,
             "motions": clips}  # fmt: skip
    try:
        _write(plan, about, _jobs(chosen, {"train": train, "test": test}), workers, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what is complete is in {out}; the same command goes on from there") from None
    return open_store(out)


def write_virtual_union(
    specs: Sequence[str | Path | VirtualDataset],
    out_dir: str | Path,
    *,
    train: int,
    test: int,
    seed: int = 0,
    workers: int = 0,
    motions: str | Path | None = None,
    packed: int | None = None,
    device: Device = "cpu",
    progress: bool = True,
) -> Path:
    """Write some virtual datasets, `train` and `test` samples each, and one store that links them: its path,
    `<out_dir>/virtual.h5`. Beside it `truth.h5` links the exact test labels of every picture in every format (see
    `write_virtual`): what any prediction on any picture is judged by.

    Raises as `write_virtual`, and InputError for a dataset or format named twice.
    """
    folder, chosen = Path(out_dir), [virtual_dataset(spec) for spec in specs]
    for what, names in (("name", [s.name for s in chosen]), ("format", [s.skeleton for s in chosen])):
        if not names or len(set(names)) < len(names):
            raise InputError(
                "virtual datasets to unite", expected=f"each of another {what}", got=", ".join(names) or "none"
            )
    stores = [
        write_virtual(spec, folder / f"{spec.name}.h5", train=train, test=test, seed=seed, workers=workers,
                      motions=motions, truth=chosen, packed=packed, device=device, progress=progress)
        for spec in chosen
    ]  # fmt: skip
    merge([store.path for store in stores], folder / "virtual.h5")
    exact = [target.path for s in chosen for target in _truths(s, folder / f"{s.name}.h5", chosen)]
    if exact and test:
        merge(exact, folder / "truth.h5")
    return folder / "virtual.h5"


def _truths(spec: VirtualDataset, out: Path, truth: Sequence[str | Path | VirtualDataset]) -> tuple[Target, ...]:
    """The stores of exact test labels; where the dataset's own are 3D, its test split is that already."""
    others = [virtual_dataset(other) for other in truth]
    others = [other for other in others if other.name != spec.name or spec.labels == "2d"]
    formats = [other.skeleton for other in others]
    if len(set(formats)) < len(formats):
        raise InputError("datasets whose labels are wanted", expected="each of another format", got=", ".join(formats))
    return tuple(Target(out.with_name(f"{out.stem}-test-{o.skeleton}.h5"), o, True) for o in others)


def _jobs(spec: VirtualDataset, wanted: dict[str, int]) -> list[Job]:
    people = sum(spec.look.people) / 2
    each = max(1, round(spec.frames * spec.cameras.count * people))
    many = max(1, JOB // each)
    jobs = []
    for split, count in wanted.items():
        counts = [min(each, count - start) for start in range(0, count, each)]
        jobs += [Job(split, first, tuple(counts[first : first + many])) for first in range(0, len(counts), many)]
    return jobs


def _write(plan: Plan, about: dict[str, object], jobs: list[Job], workers: int, progress: bool) -> None:
    """Do the jobs that some store lacks, and commit each when it is complete."""
    from tqdm import tqdm

    targets = [plan.main, *plan.truth]
    writers: list[StoreWriter] = []
    try:
        for target in targets:
            told = {**about, "labels": target.labels.model_dump(mode="json"), "truth": target.truth}
            writers.append(
                StoreWriter(target.path, dataset=plan.spec.name, skeleton=target.labels.skeleton, about=told)
            )
        lacking = {job: tuple(n for n, writer in enumerate(writers) if _needs(targets[n], job, writer)) for job in jobs}
        total = sum(sum(job.counts) for job in jobs)
        left = {job: which for job, which in lacking.items() if which}
        begun = total - sum(sum(job.counts) for job in left)
        with tqdm(
            total=total, initial=begun, unit="picture", desc=plan.spec.name, disable=None if progress else True
        ) as bar:
            for job, records in _done(plan, left, workers):
                for number, record in records.items():
                    writers[number].commit(record)
                bar.update(sum(job.counts))
        for writer in writers:
            writer.arrange([job.name for job in jobs])
    finally:
        for writer in writers:
            writer.close()


def _needs(target: Target, job: Job, writer: StoreWriter) -> bool:
    return job.name not in writer.done and (job.split == "test" or not target.truth)


def _done(plan: Plan, jobs: dict[Job, tuple[int, ...]], workers: int) -> Iterator[tuple[Job, dict[int, JobRecord]]]:
    """Each job with what it wrote, as they end."""
    with worker_pool(workers) as pool:
        if pool is None:
            for job, which in jobs.items():
                yield job, run_job(plan, job, which)
            return
        futures = {pool.submit(run_job, plan, job, which): job for job, which in jobs.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()


def run_job(plan: Plan, job: Job, which: tuple[int, ...]) -> dict[int, JobRecord]:
    """Make the samples of a job for some of the stores (0: the main one), in any process."""
    targets = [plan.main, *plan.truth]
    writers = {
        n: JobWriter(targets[n].path, job.name, plan.spec.name, job.split, targets[n].labels.skeleton) for n in which
    }
    try:
        for offset, count in enumerate(job.counts):
            recording = Recording(plan.spec, plan.seed, job.split, job.first + offset, _clips(plan.motions, job.split))
            found = list(islice(shots(recording, plan.seed, plan.device), count))
            for n, writer in writers.items():
                target = targets[n]
                noise, flat = job.split == "train", target.labels.labels == "2d" and not target.truth
                writer.add(samples(target.labels, recording, found, plan.seed, noise=noise, flat=flat))
        return {n: writer.finish([job.name], {"kept": {job.split: sum(job.counts)}}) for n, writer in writers.items()}
    finally:
        for writer in writers.values():
            writer.close()


@lru_cache(maxsize=4)
def _clips(motions: Path | None, split: str) -> tuple[PoseClip, ...]:
    """The clips of a split: every fifth is the test's."""
    if motions is None:
        return ()
    kept = [clip for clip in without_repeats(read_clips(motions)) if len(clip.poses)]
    chosen = [clip for number, clip in enumerate(kept) if (number % HELD_OUT == 0) == (split == "test")]
    if not chosen:
        raise InputError(f"motions in {motions}", expected="clips for both splits, two at least", got=f"{len(kept)}")
    return tuple(chosen)
