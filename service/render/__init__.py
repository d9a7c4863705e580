"""Reports and arrays → bytes: pure functions that draw and write, and read nothing."""
