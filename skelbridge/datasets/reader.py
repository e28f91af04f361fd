"""What every dataset's reader is: a list of parts, and the samples of each."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from skelbridge.datasets.cards import datasets
from skelbridge.errors import InputError, UnknownNameError, nearest
from skelbridge.io.tree import Tree
from skelbridge.skeletons import Skeleton, skeleton
from skelbridge.store.samples import Samples


@dataclass(frozen=True)
class Part:
    """What is read in one go: a sequence, a file, a range of images. All tracks in it are whole.

    key: names the part for ever, unique in the dataset ("S1/Directions 1"). split: the dataset's own word. args: what
    the reader wants to remember, plain values.
    """

    key: str
    split: str
    args: tuple[Any, ...] = ()


@dataclass
class Notes:
    """What a reader did to the data on its way: rows that it dropped or repaired, by reason, and remarks."""

    dropped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    remarks: dict[str, None] = field(default_factory=dict)

    def drop(self, reason: str, count: int = 1) -> None:
        """`count` samples are left out."""
        self.dropped.update({reason: int(count)} if count else {})

    def repair(self, what: str, count: int = 1) -> None:
        """`count` samples are changed from what the files say."""
        self.repaired.update({what: int(count)} if count else {})

    def remark(self, text: str) -> None:
        """Something the user should know, told once."""
        self.remarks[text] = None


@dataclass(frozen=True)
class Choice:
    """An explicit option of a reader, set by `--set name=value`: what the data leave open, or users differ in."""

    default: bool | int | float | str
    help: str


class Reader(ABC):
    """Reads one dataset from its native files.

    A subclass sets `id` (that of its card), `skeletons` (the formats it can give; the first is the default), and,
    where there is something to choose, `choices`. It reads what the files say, in millimetres, with every frame and
    person; thinning, boxes from points, packing and checks are the same for all datasets and lie in `ingest`.

    tree: the dataset's folder. skeleton: which of `skeletons`. models: the folder of SMPL-family model files, for
    datasets that need them. settings: values for `choices`.

    Raises UnknownNameError or InputError for a skeleton or setting that the reader does not have.
    """

    id: ClassVar[str]
    skeletons: ClassVar[tuple[str, ...]]
    choices: ClassVar[Mapping[str, Choice]] = {}
    version: ClassVar[int] = 1

    def __init__(
        self,
        tree: Tree,
        *,
        skeleton_id: str | None = None,
        models: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ):
        self.tree, self.models, self.notes = tree, models, Notes()
        self.skeleton: Skeleton = skeleton(skeleton_id or self.skeletons[0])
        if self.skeleton.id not in self.skeletons:
            raise UnknownNameError(f"{self.id} as {self.skeleton.id}", expected=f"one of {', '.join(self.skeletons)}")
        self.settings = {name: choice.default for name, choice in self.choices.items()}
        for name, value in (settings or {}).items():
            if name not in self.choices:
                raise UnknownNameError(
                    f"{self.id} has no setting {name!r}",
                    expected=f"one of {nearest(name, self.choices) or sorted(self.choices) or 'none'}",
                )
            self.settings[name] = _value(name, self.choices[name].default, value)

    @abstractmethod
    def parts(self) -> list[Part]:
        """What there is to read below the folder, in a lasting order. Looks, but reads no more than it must.

        Raises MissingFileError where the folder is not, or not all of, the dataset: what was looked for, and where.
        """

    @abstractmethod
    def read(self, part: Part) -> Iterator[Samples]:
        """The samples of a part, some hundreds to thousands at a time; frames of a track in order of time.

        Raises FileFormatError where a file is damaged. What is left out or mended is told to `self.notes`.
        """


def _value(name: str, default: Any, text: str) -> Any:
    if isinstance(default, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise InputError(f"the setting {name}", expected="true or false", got=text)
        return words[text.lower()]
    try:
        return type(default)(text)
    except ValueError:
        raise InputError(f"the setting {name}", expected=f"a {type(default).__name__}", got=text) from None


def readers() -> list[str]:
    """The ids of the datasets that have both a card and a reader."""
    return [name for name in datasets() if importlib.util.find_spec(f"{__package__}.{name}") is not None]


def reader_class(name: str) -> type[Reader]:
    """The reader of a dataset, by its card's id; UnknownNameError where there is none."""
    module_name = f"{__package__}.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        module = None
    for value in vars(module).values() if module else ():
        if isinstance(value, type) and issubclass(value, Reader) and getattr(value, "id", None) == name:
            return value
    known = readers()
    raise UnknownNameError(
        f"there is no reader of a dataset {name!r}", expected=f"one such as {', '.join(nearest(name, known) or known)}",
        mend="`skelbridge datasets` lists them all.",
    )  # fmt: skip
