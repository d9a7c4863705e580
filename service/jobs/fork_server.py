"""Loaded by the fork server alone, before it forks for the first job: everything a job needs, so that each starts in milliseconds."""

from __future__ import annotations

from multiprocessing import spawn

import pebble

import service.analysis
import service.jobs.work
import service.render.grid

__all__ = ["pebble", "service"]

# A child runs its parent's main script again (gunicorn's, a test runner's), for functions that were defined there. Ours never are, and
# it costs up to a second for each job. (bpo "__main__ is never preloaded": python/cpython#126631.)
setattr(spawn, "_fixup_main_from_path", lambda path: None)  # noqa: B010 the name is not public
