"""Where work runs: processes with limits, one per job."""
