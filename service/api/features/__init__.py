"""The features of the HTTP interface, one resource in each file."""
