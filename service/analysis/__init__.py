"""Graph to report: connections, receptive fields, filters, findings. Imports NumPy, `service.graph`, `service.report`, nothing else."""

from service.analysis.report import Reading, analyze

__all__ = ["Reading", "analyze"]
