"""What a job's process does for a page that shows a variant while its reader types: the analysis without values, few numbers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.report.identity import read_options
from service.report.plain import plain_object
from service.report.preview import preview
from service.work.analysis import Files, analyze_file
from service.work.made import Made, made_json


def preview_document(files: Files, options: Mapping[str, object]) -> Made:
    """The preview of a variant as JSON. Refused `invalid-edit` where an edit is not possible."""
    return made_json(plain_object(preview(analyze_file(files, replace(read_options(options), read_weights="none")))))
