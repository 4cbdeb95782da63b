"""report.html: everything that lies in a run's folder, on one page that opens anywhere."""

from steepest.report.page import write_report

__all__ = ["write_report"]
