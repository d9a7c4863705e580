"""Jobs on this machine: a process for each, with limits, and one that is kept for drawing."""
