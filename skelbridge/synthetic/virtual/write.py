"""Virtual datasets written into stores, in jobs that any number of processes share.

>>> store = write_virtual("virtual_lab", "lab.h5", train=2000, test=300, workers=2)

A job is some recordings of a split; what was committed stays, and the same call goes on from there. Every sample
follows from the dataset, the seed, and the recording's number, so the samples do not depend on the processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path

from skelbridge.body.render import Device
from skelbridge.datasets.ingestion import worker_pool
from skelbridge.errors import InputError, need
from skelbridge.store import JobRecord, Store, StoreWriter, merge, open_store
from skelbridge.synthetic.virtual.jobs import Job, Plan, run_job, targets
from skelbridge.synthetic.virtual.spec import VirtualDataset, virtual_dataset

Named = str | Path | VirtualDataset
#: A job of one of the plans, and which of the plan's targets lack it.
Task = tuple[int, Job, tuple[int, ...]]


def write_virtual(
    spec: Named,
    out: str | Path,
    *,
    train: int,
    test: int,
    seed: int = 0,
    workers: int = 0,
    motions: str | Path | None = None,
    truth: Sequence[Named] = (),
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
    plan = _plan(spec, Path(out), train, test, seed, motions, truth, packed, device)
    _run([plan], workers, progress)
    return open_store(out)


def write_virtual_union(
    specs: Sequence[Named],
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
    `<out_dir>/virtual.h5`. Beside it `truth.h5` links the exact test labels of all pictures in all formats (see
    `write_virtual`), less those that a dataset's own test split has: what any prediction is judged by.

    Raises as `write_virtual`, and InputError for a name or format that two of the datasets have.
    """
    folder, chosen = Path(out_dir), [virtual_dataset(spec) for spec in specs]
    for what, words in (("name", [s.name for s in chosen]), ("format", [s.skeleton for s in chosen])):
        if not words or len(set(words)) < len(words):
            got = ", ".join(words) or "none"
            raise InputError("virtual datasets to unite", expected=f"each of another {what}", got=got)
    plans = [_plan(s, folder / f"{s.name}.h5", train, test, seed, motions, chosen, packed, device) for s in chosen]
    _run(plans, workers, progress)
    merge([plan.targets[0].path for plan in plans], folder / "virtual.h5")
    if exact := [target.path for plan in plans for target in plan.targets[1:]]:
        merge(exact, folder / "truth.h5")
    return folder / "virtual.h5"


def _plan(
    spec: Named, out: Path, train: int, test: int, seed: int, motions: str | Path | None, truth: Sequence[Named],
    packed: int | None, device: Device,
) -> Plan:  # fmt: skip
    need("mitsuba", "virtual")
    chosen = virtual_dataset(spec)
    if packed is not None:
        chosen = VirtualDataset.model_validate({**chosen.model_dump(), "packed": packed})
    if train < 0 or test < 0 or train + test < 1:
        raise InputError("samples to write", expected="0 or more of a split, one at least", got=f"{train} and {test}")
    if seed < 0:
        raise InputError("the seed", expected="0 or more", got=seed)
    folder = None if motions is None else Path(motions).absolute()
    others = [virtual_dataset(other) for other in truth] if test else []
    return Plan(chosen, train, test, seed, folder, device, targets(chosen, out.absolute(), others))


def _run(plans: Sequence[Plan], workers: int, progress: bool) -> None:
    """Do the jobs that some store lacks, and commit each when it is complete."""
    from tqdm import tqdm

    if workers < 0:
        raise InputError("workers", expected="0 or more", got=workers)
    try:
        with ExitStack() as open_stores:
            writers = [[open_stores.enter_context(_writer(p, n)) for n in range(len(p.targets))] for p in plans]
            tasks = list(_lacking(plans, writers))
            total, left = sum(plan.train + plan.test for plan in plans), sum(job.count for _, job, _ in tasks)
            hidden = None if progress else True
            with tqdm(total=total, initial=total - left, unit="picture", disable=hidden) as bar:
                for number, job, records in _done(plans, tasks, workers):
                    for target, record in records.items():
                        writers[number][target].commit(record)
                    bar.update(job.count)
            for plan, of_plan in zip(plans, writers, strict=True):
                for writer in of_plan:
                    writer.arrange([job.name for job in plan.jobs])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what is complete stays; the same command goes on from there") from None


def _writer(plan: Plan, number: int) -> StoreWriter:
    target = plan.targets[number]
    card = target.labels.skeleton
    return StoreWriter(target.path, dataset=plan.spec.name, skeleton=card, about=plan.about(target))


def _lacking(plans: Sequence[Plan], writers: Sequence[Sequence[StoreWriter]]) -> Iterator[Task]:
    """The jobs that are not in all stores that they belong to."""
    for number, plan in enumerate(plans):
        done = [writer.done for writer in writers[number]]
        for job in plan.jobs:
            wanted = range(len(plan.targets)) if job.split == "test" else (0,)
            if which := tuple(n for n in wanted if job.name not in done[n]):
                yield number, job, which


def _done(
    plans: Sequence[Plan], tasks: Sequence[Task], workers: int
) -> Iterator[tuple[int, Job, dict[int, JobRecord]]]:
    """Each job with what it wrote, as they end."""
    with worker_pool(workers if tasks else 0) as pool:
        if pool is None:
            for number, job, which in tasks:
                yield number, job, run_job(plans[number], job, which)
            return
        futures = {pool.submit(run_job, plans[n], job, which): (n, job) for n, job, which in tasks}
        try:
            for future in as_completed(futures):
                yield *futures[future], future.result()
        except BrokenProcessPool:
            raise InputError(
                "virtual datasets: a worker process died", got="no answer from it",
                mend="It may have run out of memory: take fewer workers. The same call goes on from what is complete.",
            ) from None  # fmt: skip
