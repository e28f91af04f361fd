"""Datasets: their cards, their readers, and bringing them into a store."""

from __future__ import annotations

import importlib
import importlib.util

from skelbridge.datasets.cards import DatasetCard, dataset, datasets
from skelbridge.datasets.reader import Choice, Notes, Part, Reader
from skelbridge.errors import UnknownNameError, nearest

__all__ = ["Choice", "DatasetCard", "Notes", "Part", "Reader", "dataset", "datasets", "reader_class", "readers"]


def readers() -> list[str]:
    """The ids of the datasets that have both a card and a reader."""
    return [name for name in datasets() if importlib.util.find_spec(f"{__name__}.{name}") is not None]


def reader_class(name: str) -> type[Reader]:
    """The reader of a dataset, by its card's id; UnknownNameError where there is none."""
    module_name = f"{__name__}.{name}"
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
