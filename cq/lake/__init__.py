"""What a dataset is, where it lies, how it is written, read and checked."""

from cq.lake.asof import asof
from cq.lake.damage import collected, reading
from cq.lake.datasets import DATASETS, Dataset
from cq.lake.lake import Lake
from cq.lake.writer import WriteReport

__all__ = ["DATASETS", "Dataset", "Lake", "WriteReport", "asof", "collected", "reading"]
