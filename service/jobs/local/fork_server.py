"""Loaded by the fork server alone, before it forks for the first job: everything a job needs, so that each starts in milliseconds."""

from __future__ import annotations

import importlib
import os
from multiprocessing import spawn

from PIL import Image

from service.jobs.local import sandbox
from service.work.tasks import TASKS

# Read when NumPy is loaded, below. The pool keeps the processors busy already; threads of one job would wait for each other in loops that
# take five times its own processor time on a busy machine. And a job may start none.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# This process ran a new program, so its memory is open to others of the same user again.
sandbox.seal()

# A child runs its parent's main script again (gunicorn's, a test runner's), for functions that were defined there. Ours never are, and
# it costs up to a second for each job, because that script is not loaded here before (python/cpython#126631).
setattr(spawn, "_fixup_main_from_path", lambda path: None)  # noqa: B010 the name is not public

# Every room of work that a fresh process may be asked for; the kept process loads its engine itself.
ROOMS = sorted({task.function.partition(":")[0] for task in TASKS.values() if task.place == "fresh"})
# What libraries load when it is first used: in its sandbox, a job could not read it any more.
LATER = (
    *(f"numpy.{name}" for name in ("char", "ctypeslib", "dtypes", "fft", "linalg", "ma", "polynomial", "random", "rec", "strings")),
    *(f"PIL.{name}" for name in ("ImageChops", "ImageColor", "ImageFile", "ImageOps", "ImagePalette", "ImageSequence")),
    *(f"encodings.{name}" for name in ("ascii", "cp437", "cp1252", "idna", "latin_1", "unicode_escape", "utf_8_sig")),
    *(f"encodings.utf_{bits}{order}" for bits in (16, 32) for order in ("", "_be", "_le")),
)
for name in ("service.jobs.local.worker", *ROOMS, *LATER):
    importlib.import_module(name)
Image.preinit()
