"""Watched models: names with versions, their history and verdicts, and the fleet of all of them."""
