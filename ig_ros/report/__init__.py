"""What a run leaves for a person to read: one HTML page with curves, pictures, objects and timings."""

from ig_ros.report.page import Report, write_report
from ig_ros.report.training_curves import History, Moment, Probe

__all__ = ["History", "Moment", "Probe", "Report", "write_report"]
