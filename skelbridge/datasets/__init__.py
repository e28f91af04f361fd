"""Datasets: their cards, their readers, and bringing them into a store."""

from skelbridge.datasets.cards import DatasetCard, dataset, datasets
from skelbridge.datasets.ingestion import IngestError, ingest
from skelbridge.datasets.reader import Choice, Notes, Part, Reader, reader_class, readers
from skelbridge.datasets.report import IngestReport

__all__ = [
    "Choice", "DatasetCard", "IngestError", "IngestReport", "Notes", "Part", "Reader", "dataset", "datasets", "ingest",
    "reader_class", "readers",
]  # fmt: skip
