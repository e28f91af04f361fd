"""The unified store: samples of any dataset in sealed HDF5 files, read by mapping them into memory."""

from skelbridge.store.index import JobRecord
from skelbridge.store.opening import open_store
from skelbridge.store.reader import Store
from skelbridge.store.samples import Samples, Visibility, Words
from skelbridge.store.schema import Sample
from skelbridge.store.upkeep import Problem, set_dropped, verify
from skelbridge.store.writer import JobWriter, StoreWriter

__all__ = [
    "JobRecord",
    "JobWriter",
    "Problem",
    "Sample",
    "Samples",
    "Store",
    "StoreWriter",
    "Visibility",
    "Words",
    "open_store",
    "set_dropped",
    "verify",
]
