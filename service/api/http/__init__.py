"""What HTTP asks of every feature: bodies, negotiation, problems, logs, and the description of the interface."""
