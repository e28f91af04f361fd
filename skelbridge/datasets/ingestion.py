"""Bringing a dataset from its native files into a store: `ingest`, the same way for every dataset.

>>> report = ingest("h36m", "/data/h36m", "h36m.h5", workers=8)
>>> print(report)

The reader lists the dataset's parts; some parts make a job; a job reads, thins, boxes, packs and counts its samples,
and writes them; the store shows them once the job is committed. So what was committed stays, whatever happens next, and
the same call goes on from there.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from skelbridge.datasets.boxes import detector, picture_points, too_small, with_boxes
from skelbridge.datasets.cards import Boxes, DatasetCard, Thinning, dataset
from skelbridge.datasets.checks import Check, CheckError, Checks
from skelbridge.datasets.clean import Rules
from skelbridge.datasets.clean import clean as clean_store
from skelbridge.datasets.packing import with_files, with_pictures
from skelbridge.datasets.reader import Notes, Part, Reader, reader_class
from skelbridge.datasets.report import IngestReport
from skelbridge.datasets.thinning import Thinner
from skelbridge.errors import InputError, SkelbridgeError, need
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.store import JobRecord, JobWriter, Samples, StoreWriter, open_store
from skelbridge.store.index import shards_folder

Pack = Literal["crop"]

#: A dataset's work is cut into about so many jobs, of so many parts at most.
_JOBS, _MOST_PARTS = 200, 32
#: Samples whose pictures are held at once, about.
_PICTURED = 512


class IngestError(InputError):
    """A part of a dataset cannot be read; what was complete before it is in the store."""


@dataclass(frozen=True)
class Source:
    """What a reader is made from, in any process."""

    reader: type[Reader]
    root: Path
    skeleton: str | None
    models: Path | None
    settings: tuple[tuple[str, str], ...]

    def open(self) -> Reader:
        """The reader; MissingFileError where there is no such folder."""
        return self.reader(Tree(self.root), skeleton_id=self.skeleton, models=self.models, settings=dict(self.settings))


@dataclass(frozen=True)
class Plan:
    """How the samples of a dataset are treated on their way into the store."""

    source: Source
    store: Path
    thinning: Thinning
    boxes: Boxes
    evaluation: tuple[str, ...]
    pack: Pack | None
    detector: str | None
    need_pictures: bool

    def about(self) -> dict[str, Any]:
        """What must be the same when the work goes on, plain values."""
        return {
            "reader": self.source.reader.version, "settings": dict(self.source.settings),
            "thinning": self.thinning.model_dump(mode="json"), "boxes": self.boxes.model_dump(mode="json"),
            "evaluation": list(self.evaluation), "pack": self.pack, "detector": self.detector,
            "need_pictures": self.need_pictures,
        }  # fmt: skip


@dataclass(frozen=True)
class Job:
    """Parts of one split that are written and committed together."""

    parts: tuple[Part, ...]

    @property
    def split(self) -> str:
        return self.parts[0].split

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(part.key for part in self.parts)

    @property
    def name(self) -> str:
        """Tells the job from any other of its dataset, in every run."""
        digest = hashlib.blake2b("\0".join(self.keys).encode(), digest_size=8).hexdigest()
        return f"{self.split}-{digest}"


@dataclass(frozen=True)
class Failure:
    """A part that could not be read, and why; an unexpected error says where in the code it arose."""

    part: str
    message: str
    missing: bool = False


def ingest(
    name: str,
    root: str | Path,
    out: str | Path,
    *,
    skeleton: str | None = None,
    models: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    pack: Pack | None = None,
    workers: int = 0,
    dask: str | None = None,
    thin: bool = True,
    step: int | None = None,
    splits: Sequence[str] | None = None,
    detect: str | None = None,
    need_pictures: bool = False,
    clean: bool = True,
    force: bool = False,
    progress: bool = True,
) -> IngestReport:
    """Bring a dataset into a store; where the store is there already, go on with what is missing.

    Parameters
    ----------
    name: the dataset's id or alias. root: its folder. out: the store to write.
    skeleton: which of the reader's formats. models: the folder of SMPL-family models. settings: the reader's choices.
    pack: "crop" keeps a JPEG of each person in the store; needs the pictures.
    workers: processes to work in, 0 for this one. dask: the address of a running Dask scheduler, whose workers see the
        same folders.
    thin: leave out frames that differ little, as the dataset's card says. step: look at every n-th frame only.
    splits: only these of the dataset's splits.
    detect: "torchvision" replaces boxes by those of a person detector where they fit.
    need_pictures: drop samples whose picture is missing, in place of keeping them without.
    clean: leave out implausible samples at the end, by the rules that the store was cleaned by last.
    force: keep a dataset that fails its self-checks.

    Raises MissingFileError where the folder is not the dataset, IngestError where a part cannot be read, CheckError
    where the samples fail the self-checks, InputError for wrong arguments and a store that was begun otherwise.
    """
    card = dataset(name)
    if pack not in (None, "crop"):
        raise InputError("pack", expected="'crop' or None", got=repr(pack))
    if workers < 0 or (workers and dask):
        raise InputError("workers", expected="0 or more, and none beside dask", got=workers)
    source = Source(
        reader_class(card.id), Path(root).absolute(), skeleton, None if models is None else Path(models).absolute(),
        tuple(sorted((settings or {}).items())),
    )  # fmt: skip
    plan = Plan(
        source, Path(out).absolute(), _thinning(card, thin, step), card.boxes, card.evaluation, pack, detect,
        need_pictures,
    )  # fmt: skip
    with _told_layout(card):
        reader = source.open()
        there = reader.parts()
        parts = _chosen(card, there, splits)
    about = {"skeleton": str(reader.skeleton), **plan.about()}
    try:
        with _told_layout(card), StoreWriter(
            plan.store, dataset=card.id, skeleton=reader.skeleton, root=source.root, about=about
        ) as writer:  # fmt: skip
            _run(plan, _jobs(parts, writer.done), writer, workers, dask, progress, len(parts))
            writer.arrange([part.key for part in there])
            _checked(card, plan.store, writer, force)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what is complete is in {out}; the same command goes on from there") from None
    if clean:
        clean_store(plan.store, Rules.of_store(open_store(plan.store)))
    return IngestReport.of(Path(out))


def _thinning(card: DatasetCard, thin: bool, step: int | None) -> Thinning:
    rule = card.thinning if thin else Thinning(rule="none")
    if step is not None and not 1 <= step < 2**31:
        raise InputError("step", expected="1 or more, less than 2^31", got=step)
    return rule if step is None else rule.model_copy(update={"step": step})


@contextmanager
def _told_layout(card: DatasetCard) -> Iterator[None]:
    """A missing file's error says how the dataset's distribution lies."""
    try:
        yield
    except MissingFileError as error:
        files = "; ".join(f"{file.pattern} ({file.container})" for file in card.files if file.needed)
        mend = " ".join(f"{error.mend or ''} {card.title} lies as: {files}. {card.download}".split())
        raise MissingFileError(error.what, expected=error.expected, got=error.got, mend=mend) from error


def _chosen(card: DatasetCard, parts: list[Part], splits: Sequence[str] | None) -> list[Part]:
    """The parts of the splits asked for."""
    if len({part.key for part in parts}) < len(parts):
        raise InputError(f"the parts of {card.id}", expected="a key each", got="one key twice")
    found = tuple(dict.fromkeys(part.split for part in parts))
    if strange := set(splits or ()) - set(found):
        raise InputError(f"splits of {card.id}", expected=f"among those that are there: {', '.join(found) or 'none'}",
                         got=", ".join(sorted(strange)))  # fmt: skip
    if not parts:
        raise MissingFileError(f"the folder of {card.id}", expected="files of the dataset", got="none")
    return [part for part in parts if splits is None or part.split in splits]


def _jobs(parts: Sequence[Part], done: set[str]) -> list[Job]:
    """The parts that are not done, in jobs of neighbours of one split; the same parts make the same jobs."""
    most = min(max(-(-len(parts) // _JOBS), 1), _MOST_PARTS)
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.split, []).append(part)
    jobs = []
    for group in groups.values():
        for start in range(0, len(group), most):
            left = tuple(part for part in group[start : start + most] if part.key not in done)
            jobs += [Job(left)] if left else []
    return jobs


def _run(
    plan: Plan, jobs: list[Job], writer: StoreWriter, workers: int, dask: str | None, progress: bool, parts: int
) -> None:
    """Do the jobs and commit each when it is complete; the first failure stops what has not begun."""
    from tqdm import tqdm

    failure: Failure | None = None
    left, kept, begun = sum(len(job.parts) for job in jobs), 0, time.monotonic()
    bar = tqdm(total=parts, initial=parts - left, unit="part", disable=None if progress else True)
    try:
        with bar, worker_pool(workers, dask) as pool:
            for job, found in _results(plan, jobs, pool):
                if isinstance(found, Failure):
                    failure = failure or found
                    continue
                writer.commit(found)
                kept += sum(shard.rows for shard in found.shards)
                bar.set_postfix_str(f"{kept:,} samples, {kept / (time.monotonic() - begun):,.0f}/s", refresh=False)
                bar.update(len(job.parts))
    finally:
        vars(_opened).clear()  # files may be mended before the next call
    if failure is not None:
        raise (MissingFileError if failure.missing else IngestError)(
            f"{plan.source.reader.id}, the part {failure.part!r}", got=failure.message.rstrip("."),
            mend="What was complete is in the store; the same command goes on from there.",
        )  # fmt: skip


def _results(plan: Plan, jobs: list[Job], pool: Executor | None) -> Iterator[tuple[Job, JobRecord | Failure]]:
    """Each job with what came of it, as they end; nothing new begins after a failure."""
    if pool is None:
        for job in jobs:
            found = run_job(plan, job)
            yield job, found
            if isinstance(found, Failure):
                return
        return
    try:
        futures = {pool.submit(run_job, plan, job): job for job in jobs}
        for future in as_completed(futures):
            if future.cancelled():
                continue
            found = future.result()
            yield futures[future], found
            if isinstance(found, Failure):
                for other in futures:
                    other.cancel()
    except BrokenProcessPool:
        raise IngestError(
            f"{plan.source.reader.id}: a worker process died", got="no answer from it",
            mend="It may have run out of memory: take fewer --workers. The same command goes on from what is complete.",
        ) from None  # fmt: skip


@contextmanager
def worker_pool(workers: int, dask: str | None = None) -> Iterator[Executor | None]:
    """Where jobs are done: here, in processes of our own, or on a Dask cluster."""
    if dask is not None:
        distributed = need("distributed", "cluster")
        try:
            client = distributed.Client(dask, timeout="10s")
        except (OSError, ValueError) as error:
            raise InputError("the Dask scheduler", expected="one that answers, such as tcp://host:8786",
                             got=f"{dask}: {error}") from error  # fmt: skip
        with client, client.get_executor() as executor:
            try:
                yield executor
            except BaseException:  # nothing more is begun
                executor.shutdown(wait=False)
                raise
    elif workers:
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as executor:
            try:
                yield executor
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - before:
                    process.terminate()
                raise
    else:
        yield None


def _begin_worker() -> None:
    """Ctrl-C is the parent's: it ends its workers. Where it is killed itself, they end as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run_job(plan: Plan, job: Job) -> JobRecord | Failure:
    """Read, treat and write the parts of one job, in any process; nothing of it shows before it is committed."""
    part = job.parts[0]
    try:
        begun, reader = time.monotonic(), _reader(plan.source)
        reader.notes, checks, kept = Notes(), Checks(reader.skeleton), 0
        with JobWriter(plan.store, job.name, reader.id, job.split, reader.skeleton) as out:
            for part in job.parts:
                for samples in _treated(plan, reader, part, checks):
                    checks.add(samples)
                    out.add(samples)
                    kept += len(samples)
            notes = reader.notes
            report = {
                "kept": {job.split: kept}, "dropped": dict(notes.dropped), "repaired": dict(notes.repaired),
                "remarks": list(notes.remarks), "seconds": round(time.monotonic() - begun, 2),
                "checks": checks.figures(),
            }  # fmt: skip
            return out.finish(job.keys, report)
    except SkelbridgeError as error:
        return Failure(part.key, str(error), isinstance(error, MissingFileError))
    except Exception as error:  # a reader's own: it must name the part, too
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}, line {where.lineno}"
        return Failure(part.key, f"{type(error).__name__}: {error} ({place}; an error of the reader itself)")


_opened = threading.local()


def _reader(source: Source) -> Reader:
    """The reader of this thread: its files stay open and parsed from job to job."""
    if getattr(_opened, "source", None) != source:
        _opened.reader, _opened.source = source.open(), source
    reader: Reader = _opened.reader
    return reader


@lru_cache(maxsize=1)
def _detector(name: str) -> Any:
    return detector(name)


def _treated(plan: Plan, reader: Reader, part: Part, checks: Checks) -> Iterator[Samples]:
    """The samples of a part that are kept, with boxes and, where asked for, pictures."""
    thinner = Thinner(Thinning(rule="none") if part.split in plan.evaluation else plan.thinning)
    blocks = (_kept(plan, samples, thinner, part.split in plan.evaluation, reader.notes, checks)
              for samples in reader.read(part))  # fmt: skip
    some = (samples for samples in blocks if len(samples))
    yield from (
        some
        if plan.pack is None and plan.detector is None and not plan.need_pictures
        else _pictured(plan, reader, list(some))
    )


def _kept(plan: Plan, samples: Samples, thinner: Thinner, evaluated: bool, notes: Notes, checks: Checks) -> Samples:
    """The samples of a block that are looked at, are in the picture, large enough, and have moved."""
    step = plan.thinning.evaluation_step if evaluated else plan.thinning.step
    if step > 1:
        samples = _without(samples, samples.frame % step != 0, f"one frame in {step} is looked at", notes)
    samples = with_boxes(samples, plan.boxes)
    told = np.isfinite(picture_points(samples)).all(axis=-1).any(axis=-1)
    outside = told & np.isnan(samples.box).any(axis=1)
    checks.in_picture(np.sum(told & ~outside), np.sum(outside))
    samples = _without(samples, outside, "not in the picture", notes)
    if not evaluated:
        samples = _without(samples, too_small(samples, plan.boxes), "too small in the picture", notes)
    return _without(samples, ~thinner.keep(samples), "moved too little since a kept frame", notes)


def _without(samples: Samples, out: Any, reason: str, notes: Notes) -> Samples:
    if not out.any():
        return samples
    notes.drop(reason, int(out.sum()))
    return samples[~out]


def _pictured(plan: Plan, reader: Reader, blocks: list[Samples]) -> Iterator[Samples]:
    """The samples of a part with their pictures; sorted by picture file, so that a video is decoded once."""
    if not blocks:
        return
    whole = Samples.joined(blocks)
    codes = whole.text["image"].codes
    order = np.argsort(codes, kind="stable")
    new = np.flatnonzero(np.diff(codes[order], prepend=-1))
    starts = [0]
    for start in new[1:]:
        if start - starts[-1] >= _PICTURED:
            starts.append(int(start))
    for rows in np.split(order, starts[1:]):
        samples = whole[rows]
        if plan.pack or plan.detector:
            found = None if plan.detector is None else _detector(plan.detector)
            samples = with_pictures(
                samples, reader.tree, reader.notes, crop=plan.pack == "crop", detector=found, need=plan.need_pictures
            )
        else:
            samples = with_files(samples, reader.tree, reader.notes)
        if len(samples):
            yield samples


def _checked(card: DatasetCard, store: Path, writer: StoreWriter, force: bool) -> None:
    """CheckError where the dataset fails its self-checks, unless it is kept by force, which is recorded."""
    report = IngestReport.of(store)
    failed = [check for check in report.checks if not check.passed and check.name not in report.forced]
    if not failed:
        return
    if not force:
        raise CheckError(
            f"{card.title} fails its self-check{'s' if len(failed) > 1 else ''}",
            got="; ".join(_told(check) for check in failed),
            mend=f"Check the folder and the settings, then remove {store} and {shards_folder(store)} and ingest anew; "
            "--force keeps it as it is.",
        )
    writer.commit(
        JobRecord(job=f"forced-{len(report.forced)}", parts=(), shards=(), report={"forced": [c.name for c in failed]})
    )


def _told(check: Check) -> str:
    worst = f" Worst: {' | '.join(check.worst)}." if check.worst else ""
    return f"{check.name}: {check.found}. {check.mend}{worst}"
