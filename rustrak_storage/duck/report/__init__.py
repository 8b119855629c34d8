"""A page about a dataset: the charts that people look at first, in one file that needs nothing else."""

from rustrak_storage.duck.report.page import report

__all__ = ["report"]
