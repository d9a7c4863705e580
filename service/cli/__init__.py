"""The command line: the same engine without a server, or with one. It reads no model itself; a process with limits does."""
