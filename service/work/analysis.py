"""What a job's process does with a model: reads it and analyses it. Nothing here knows of HTTP or of the store."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path

from service.analysis import Reading, analyze
from service.graph.model import Model
from service.options import Options
from service.readers.model import read_model
from service.report.document import Report


def read_file(path: str, options: Options, externals: Mapping[str, str]) -> Model:
    """The model at `path`, with files of external data by their bare name in `externals`. Refused where it is none."""
    return read_model(Path(path), options, {name: Path(place) for name, place in externals.items()})


def analyze_file(path: str, options: Options, externals: Mapping[str, str]) -> Report:
    """The report of the model at `path` (external data files by their bare name in `externals`) without its address and dates."""
    # A report of many layers is many small objects without cycles: looking for cycles again and again would make the cost per layer grow.
    gc.disable()
    try:
        return analyze(read_file(path, options, externals), Reading(options.read_weights, zero_tolerance=options.zero_tolerance))
    finally:
        gc.enable()
