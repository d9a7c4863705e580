"""Graph to report: connections, receptive fields, filters, findings. Imports NumPy and `service.graph`, nothing else."""
