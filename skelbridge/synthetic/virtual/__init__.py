"""Virtual datasets: rendered people with labels, in ordinary stores."""

from skelbridge.synthetic.virtual.spec import VirtualDataset, virtual_dataset, virtual_datasets
from skelbridge.synthetic.virtual.write import write_virtual, write_virtual_union

__all__ = ["VirtualDataset", "virtual_dataset", "virtual_datasets", "write_virtual", "write_virtual_union"]
