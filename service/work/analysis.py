"""What a job's process does with a model: reads it and analyses it. Nothing here knows of HTTP or of the store."""

from __future__ import annotations

from collections.abc import Mapping

from service.analysis import Reading, analyze
from service.graph.model import Model
from service.options import Options
from service.readers.model import read_model
from service.report.document import Report
from service.sources.places import Place
from service.work.collection import no_collection

Files = Mapping[str, Place]
"""A model's files: "" for the model itself, else the bare name of a file of external data."""


def read_file(files: Files, options: Options) -> Model:
    """Read the model in `files`. Refused where it is not one."""
    return read_model(files[""], options, {name: place for name, place in files.items() if name})


def analyze_file(files: Files, options: Options) -> Report:
    """Analyse the model in `files`: the report without its address and dates."""
    with no_collection():
        return analyze(read_file(files, options), Reading(options.read_weights, zero_tolerance=options.zero_tolerance))
