"""The unified store: samples of any dataset in sealed HDF5 files, read by mapping them into memory."""

from skelbridge.store.batch import Batch
from skelbridge.store.batches import Batches
from skelbridge.store.description import Contents, describe
from skelbridge.store.index import JobRecord
from skelbridge.store.merging import Plan, merge, plan
from skelbridge.store.migration import migrate
from skelbridge.store.mixtures import Mixture, Stream, mixture, mixtures
from skelbridge.store.opening import open_store
from skelbridge.store.reader import Store, Union
from skelbridge.store.samples import Samples, Visibility, Words
from skelbridge.store.schema import Sample
from skelbridge.store.upkeep import Problem, set_dropped, verify
from skelbridge.store.writer import JobWriter, StoreWriter

__all__ = [
    "Batch",
    "Batches",
    "Contents",
    "JobRecord",
    "JobWriter",
    "Mixture",
    "Plan",
    "Problem",
    "Sample",
    "Samples",
    "Store",
    "StoreWriter",
    "Stream",
    "Union",
    "Visibility",
    "Words",
    "describe",
    "merge",
    "migrate",
    "mixture",
    "mixtures",
    "open_store",
    "plan",
    "set_dropped",
    "verify",
]
