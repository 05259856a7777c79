"""Reports: what a run looks like to a person. Pages do without matplotlib; pictures load it."""

from cq.report.tear_sheet import write_report

__all__ = ["write_report"]
