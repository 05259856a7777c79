"""Reports: what a run looks like to a person. Importing this loads matplotlib."""

from cq.report.tear_sheet import write_report

__all__ = ["write_report"]
