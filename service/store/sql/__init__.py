"""Reports and jobs in a database."""
