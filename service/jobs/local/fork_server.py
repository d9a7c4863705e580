"""Loaded by the fork server alone, before it forks for the first job: everything a job needs, so that each starts in milliseconds."""

from __future__ import annotations

import importlib
import os
from multiprocessing import spawn

# Read when NumPy is loaded, below. The pool keeps the processors busy already; threads of one job would wait for each other in loops that
# take five times its own processor time on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A child runs its parent's main script again (gunicorn's, a test runner's), for functions that were defined there. Ours never are, and
# it costs up to a second for each job, because that script is not loaded here before (python/cpython#126631).
setattr(spawn, "_fixup_main_from_path", lambda path: None)  # noqa: B010 the name is not public

for name in ("jobs.local.pool", "jobs.local.drawer", "work.document", "work.analysis", "work.pictures", "work.comparing", "work.sweeping"):
    importlib.import_module(f"service.{name}")
