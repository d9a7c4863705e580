"""The JSON layer spec: bytes to graph. `entry.read_spec` begins."""
