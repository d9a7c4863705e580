"""What runs in a job's process: the functions that see readers, analysis and render together."""
