"""Writing a store: jobs write shards, perhaps in processes of their own; committing one makes its samples visible.

What is committed stays. The index is the truth: it is replaced as a whole, and shards that it does not list are
leftovers of a killed run, which the next writer removes.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.skeletons import Skeleton
from skelbridge.skeletons import skeleton as card_named
from skelbridge.store import sealed
from skelbridge.store.index import (
    MAX_BYTES,
    MAX_ROWS,
    SCHEMA,
    Index,
    IndexFile,
    JobRecord,
    Shard,
    card_of,
    read_index,
    same_joints,
    shards_folder,
    store_path,
)
from skelbridge.store.samples import LENSES, Samples
from skelbridge.store.schema import CAMERAS, MAY_LACK, NUMBERS, PACKED, WORDS
from skelbridge.store.sealed import PART, Column

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Pictures and masks wait here until their shard is written.
SPOOL = ".spool"
_COPY = 2**20


class JobWriter:
    """Writes the samples of one job as shards of a store; works in any process.

    path: the store's. name: of the job, once in a store. dataset, split, skeleton: of all samples added.
    Memory stays bounded by a shard's columns (64 MiB); pictures and masks wait in a file.
    """

    def __init__(self, path: str | Path, name: str, dataset: str, split: str, skeleton: str | Skeleton):
        self._folder = shards_folder(store_path(path))
        self.name, self.dataset, self.split = name, dataset, split
        self.skeleton = card_named(skeleton)
        self._shards: list[Shard] = []
        self._pending: _Pending | None = None

    def __enter__(self) -> JobWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add(self, samples: Samples) -> None:
        """Append samples; InputError for another skeleton or split.

        Samples that say no split get the job's. SkelbridgeError where the disk is full; the job is lost then, and
        what is committed stays.
        """
        same_joints(self.skeleton, samples.skeleton)
        said = samples.text["split"]
        if strange := {said.entries[code] for code in np.unique(said.codes)} - {self.split, ""}:
            raise InputError(f"the split of samples in {self.name}", expected=self.split, got=", ".join(strange))
        lacks = tuple(name for name in MAY_LACK if getattr(samples, name) is None)
        start = 0
        while start < len(samples):
            if self._pending is not None and (self._pending.full or self._pending.lacks != lacks):
                self._flush()
            if self._pending is None:
                self._pending = _Pending(self._folder, self.skeleton, lacks)
            stop = min(len(samples), start + self._pending.room)
            self._pending.add(samples[start:stop])
            start = stop

    def finish(self, parts: Iterable[str], report: Mapping[str, Any] | None = None) -> JobRecord:
        """Write what is left; the record that `StoreWriter.commit` makes visible.

        parts: keys of the parts that are done with this job. report: counts and remarks, plain values.
        """
        self._flush()
        return JobRecord(job=self.name, parts=tuple(parts), shards=tuple(self._shards), report=dict(report or {}))

    def close(self) -> None:
        """Let go of what is pending; after `finish` there is nothing."""
        if self._pending is not None:
            self._pending.close()
            self._pending = None

    def _flush(self) -> None:
        if self._pending is None:
            return
        slug = re.sub(r"[^A-Za-z0-9]+", "_", f"{self.dataset}_{self.name}").strip("_")[:48]
        name = f"{slug}-{len(self._shards):03}-{uuid.uuid4().hex[:10]}.h5"  # no two runs ever share a name
        try:
            shard = self._pending.write(self._folder / name, self.dataset, self.split)
        finally:
            self.close()
        self._shards.append(shard)


class _Pending:
    """The rows of a shard before it is written."""

    def __init__(self, folder: Path, card: Skeleton, lacks: tuple[str, ...]):
        self.lacks, self._card, self._folder = lacks, card, folder
        self._rows = self._bytes = 0
        self._numbers: dict[str, list[NDArray[Any]]] = {name: [] for name in NUMBERS if name not in lacks}
        self._codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in WORDS}
        self._words: dict[str, dict[bytes, int]] = {name: {} for name in WORDS}
        self._cameras: dict[bytes, int] = {}
        self._spools: dict[str, _Spool] = {}

    @property
    def room(self) -> int:
        """How many rows may still come, at least one."""
        each = self._bytes // self._rows if self._rows else 21 * len(self._card) + 128
        return max(1, min(MAX_ROWS - self._rows, (MAX_BYTES - self._bytes) // max(each, 1)))

    @property
    def full(self) -> bool:
        return self._rows >= MAX_ROWS or self._bytes >= MAX_BYTES

    def add(self, samples: Samples) -> None:
        places = np.append([self._camera(camera) for camera in samples.cameras], -1).astype(np.int32)
        for name, blocks in self._numbers.items():
            values = places[samples.camera] if name == "camera" else getattr(samples, name)
            blocks.append(np.array(values, NUMBERS[name][0]))  # a copy: the caller may use his array again
            self._bytes += blocks[-1].nbytes
        for name, known in self._words.items():
            column = samples.text[name]
            codes = np.array([self._word(name, word, known) for word in column.entries], np.int32)
            self._codes[name].append(codes[column.codes] if len(codes) else np.zeros(0, np.int32))
            self._bytes += 4 * len(column)
        for name in PACKED:
            for row, content in enumerate(getattr(samples, name)):
                if content is not None:
                    self._spool(name).add(self._rows + row, content)
        self._rows += len(samples)

    def write(self, path: Path, dataset: str, split: str) -> Shard:
        columns = {
            name: Column(NUMBERS[name][0], (self._rows, *blocks[0].shape[1:]), blocks)
            for name, blocks in self._numbers.items()
        }
        columns |= {f"cameras/{name}": Column.of(table) for name, table in self._camera_table().items()}
        for name, known in self._words.items():
            columns[f"text/{name}"] = Column(np.dtype("<i4"), (self._rows,), self._codes[name])
            longest = max(1, *map(len, known))
            columns[f"words/{name}"] = Column.of(np.array(list(known), f"S{longest}"))
        for name, spool in self._spools.items():
            columns |= spool.columns(name, self._rows)
        attributes: dict[str, str | int] = {
            "kind": "skelbridge shard", "schema": SCHEMA, "dataset": dataset, "split": split,
            "skeleton": str(self._card),
        }  # fmt: skip
        seal = sealed.write(path, attributes, columns)
        packed = {name: spool.size for name, spool in self._spools.items()}
        return Shard(
            name=path.name, dataset=dataset, split=split, skeleton=str(self._card), joints=len(self._card),
            rows=self._rows, bytes=seal.bytes, digest=seal.digest, **packed,
        )  # fmt: skip

    def close(self) -> None:
        for spool in self._spools.values():
            spool.close()

    def _word(self, name: str, word: str, known: dict[bytes, int]) -> int:
        try:
            code = word.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name} of samples", expected="text", got=ascii(word)) from None
        if b"\0" in code:
            raise InputError(f"{name} of samples", expected="text without zero bytes", got=repr(word))
        if code not in known:
            known[code] = len(known)
            self._bytes += len(code)
        return known[code]

    def _camera(self, camera: Camera) -> int:
        code = b"".join(
            np.asarray(_camera_value(camera, name), dtype).tobytes() for name, (dtype, _) in CAMERAS.items()
        )
        if code not in self._cameras:
            self._bytes += len(code)
        return self._cameras.setdefault(code, len(self._cameras))

    def _camera_table(self) -> dict[str, NDArray[Any]]:
        dtype = np.dtype([(name, kind, shape) for name, (kind, shape) in CAMERAS.items()])
        table = np.array([np.frombuffer(code, dtype)[0] for code in self._cameras], dtype)
        return {name: table[name] for name in CAMERAS}

    def _spool(self, name: str) -> _Spool:
        if name not in self._spools:
            self._spools[name] = _Spool(self._folder)
        return self._spools[name]


def _camera_value(camera: Camera, name: str) -> Any:
    return LENSES.index(camera.lens) if name == "lens" else getattr(camera, name)


class _Spool:
    """Bytes of rows, of any length, in a file until their shard is written."""

    def __init__(self, folder: Path):
        self._path = folder
        with sealed.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=SPOOL)  # noqa: SIM115
        self._rows: list[int] = []
        self._sizes: list[int] = []

    @property
    def size(self) -> int:
        return sum(self._sizes)

    def add(self, row: int, content: bytes) -> None:
        if not content:
            raise InputError("a mask or picture of a sample", expected="bytes, or None", got="none")
        with sealed.disk_errors(self._path):
            self._file.write(content)
        self._rows.append(row)
        self._sizes.append(len(content))

    def columns(self, name: str, rows: int) -> dict[str, Column]:
        starts = np.zeros(rows + 1, np.int64)
        starts[np.array(self._rows) + 1] = self._sizes
        return {
            f"{name}/starts": Column.of(np.cumsum(starts)),
            f"{name}/bytes": Column(np.dtype("u1"), (self.size,), self._pieces()),
        }

    def _pieces(self) -> Iterator[NDArray[np.uint8]]:
        self._file.seek(0)
        while block := self._file.read(_COPY):
            yield np.frombuffer(block, np.uint8)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:  # the disk is full: what was spooled is lost with its job
            Path(self._file.name).unlink(missing_ok=True)


class StoreWriter:
    """Creates a store, or goes on with one; only one writer at a time.

    path: the index file; shards lie in the folder `<path>.shards`. root: the dataset's folder, which may have moved
    since. about: how it is ingested, plain values; it must be the same whenever the work goes on.

    Raises InputError where the store that is there holds something else, or another writer is at work on it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dataset: str,
        skeleton: str | Skeleton,
        root: str | Path = "",
        about: Mapping[str, Any] | None = None,
    ):
        self.path, self._card = store_path(path), card_named(skeleton)
        self._lock = Lock(self.path)
        try:
            wanted = Index(
                schema_version=SCHEMA, dataset=dataset, skeleton=str(self._card), root=str(root),
                about=dict(about or {}), cards={str(self._card): card_of(self._card)},
            )  # fmt: skip
            wanted = Index.model_validate_json(wanted.text())  # as it will be read again
            if not self.path.exists() and any(shards_folder(self.path).glob("*.h5")):
                raise InputError(
                    f"{self.path}: its shards are there, and it is not", expected="both, or neither",
                    mend=f"Restore it, or remove {shards_folder(self.path)} to start anew.",
                )  # fmt: skip
            found = read_index(self.path) if self.path.exists() else IndexFile(wanted)
            self._agree(found.index, wanted)
            self._save(IndexFile(found.index.model_copy(update={"root": wanted.root}), found.dropped))
            remove_leftovers(self.path, self._file.index)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    @property
    def done(self) -> set[str]:
        """The keys of the parts that are committed."""
        return {part for job in self._file.index.jobs for part in job.parts}

    def reports(self) -> dict[str, Any]:
        """The reports of all jobs as one: counts added, lists joined."""
        return merged_reports(job.report for job in self._file.index.jobs)

    def commit(self, record: JobRecord) -> None:
        """Make what a job wrote visible, in one step.

        Raises InputError for a job or parts that are there already, FileFormatError for shards that are not as written.
        """
        index = self._file.index
        if record.job in {job.job for job in index.jobs} or self.done & set(record.parts):
            raise InputError(f"{self.path}, the job {record.job}", expected="parts that are new", got="some of before")
        for shard in record.shards:
            if (shard.dataset, shard.skeleton) != (index.dataset, index.skeleton):
                raise InputError(f"{self.path}, the job {record.job}", expected=f"{index.dataset}, {index.skeleton}",
                                 got=f"{shard.dataset}, {shard.skeleton}")  # fmt: skip
            check_shard(shards_folder(self.path) / shard.name, shard, sealed.head)
        self._save(IndexFile(index.model_copy(update={"jobs": (*index.jobs, record)}), self._file.dropped))

    def arrange(self, parts: Sequence[str]) -> None:
        """Bring what is committed into the order of parts (their keys): the same store, whoever was done first."""
        place = {part: number for number, part in enumerate(parts)}
        index = self._file.index
        jobs = tuple(sorted(index.jobs, key=lambda job: min((place.get(p, len(place)) for p in job.parts), default=0)))
        if jobs != index.jobs:
            self._save(IndexFile(index.model_copy(update={"jobs": jobs}), self._file.dropped))

    def _save(self, file: IndexFile) -> None:
        file.write(self.path)
        self._file = file

    def _agree(self, found: Index, wanted: Index) -> None:
        """InputError that says what differs, unless the store holds what is to be written."""
        if found.members is not None:
            raise InputError(f"{self.path}: it links other stores", mend="Name another file to write to.")
        before, now = (_flat({"dataset": i.dataset, "skeleton": i.skeleton, **i.about}) for i in (found, wanted))
        if found.skeleton == wanted.skeleton:
            before["joints"], now["joints"] = found.card().names, wanted.card().names
        if names := [name for name in {**before, **now} if before.get(name) != now.get(name)]:
            raise InputError(
                f"{self.path}: it was begun otherwise",
                expected={name: before.get(name) for name in names},
                got={name: now.get(name) for name in names},
                mend=f"Ask for the same again, name another file, or remove {self.path} and "
                f"{shards_folder(self.path)} to start anew.",
            )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with those of mappings among them as name.key."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, Mapping) else {name: value}
    return flat


def check_shard(path: Path, shard: Shard, seal: Any) -> None:
    """FileFormatError unless a file is sealed as its entry says; `seal` is `sealed.head`, or `sealed.check`."""
    found = seal(path)
    if (found.bytes, found.digest) != (shard.bytes, shard.digest):
        raise damaged(path, "", expected=f"the digest {shard.digest[:12]} of the index", got=found.digest[:12])


def leftovers(path: Path, index: Index) -> list[Path]:
    """Files of ours in the folder of shards that the index does not list."""
    known, folder = {shard.name for shard in index.shards}, shards_folder(path)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [f for f in found if f.suffix in (".h5", PART, SPOOL) and f.name not in known]


def remove_leftovers(path: Path, index: Index) -> None:
    """Remove what a killed run left."""
    for file in (*leftovers(path, index), *path.parent.glob(f".{glob.escape(path.name)}.*{PART}")):
        file.unlink(missing_ok=True)


def merged_reports(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Reports as one: numbers are added, lists joined without repeats, mappings merged; of other values the last."""
    found: dict[str, Any] = {}
    for report in reports:
        for name, value in report.items():
            found[name] = _merged(found[name], value) if name in found else value
    return found


def _merged(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return merged_reports([a, b])
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(b, str):
        return [*a, *(item for item in b if item not in a)]
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(b, bool):
        return a + b
    return b


class Lock:
    """That one writer alone is at work on a store; it ends with the process, however that ends."""

    _held: set[str] = set()  # noqa: RUF012  a system's lock does not keep a process from itself

    def __init__(self, path: Path):
        if not path.name:
            raise InputError("the file of a store", expected="a name", got=repr(str(path)))
        self._key = str(path.resolve())
        if self._key in self._held:
            raise _busy(path)
        with sealed.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise _busy(path) from None
            raise InputError(
                f"{path} cannot be locked", got=error.strerror, mend="Write on a disk that knows locks."
            ) from error
        self._held.add(self._key)
        self._mine = True

    def release(self) -> None:
        """Let others write; once is enough."""
        if self._mine:
            self._mine = False
            self._held.discard(self._key)
            os.close(self._handle)


def _busy(path: Path) -> InputError:
    return InputError(f"{path}: another writer is at work on it", mend="Wait until it has ended.")
