"""The table of tasks: everything that runs outside the server's process, by name.

Nothing that runs is imported here, so the server and a queue may name a task without loading what reads models.

1. A task is called with keywords: `files` (where it needs the files of a model), its documents as bytes, and arguments that are JSON.
2. Its result is content, media type and headers (work.made).
3. A task in a fresh process reads what came from outside and dies with it. One in the kept process draws reports of our own making.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Place = Literal["fresh", "kept"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do: a function (package.module:function), and what it needs.

    `files` says whether it reads the files of a model; `documents` are the bytes that it takes, by keyword; `place` is the kind of process
    that it runs in, and with that its memory: its address space in a fresh one, what it writes to in the kept one, whose engine reserves
    much more.
    """

    name: str
    function: str
    files: bool = False
    documents: tuple[str, ...] = ()
    place: Place = "fresh"


REPORT = Task("report", "service.work.document:make_report", files=True)
LOCAL_REPORT = Task("local-report", "service.work.local:report_document", files=True)
EXTERNALS = Task("externals", "service.work.local:named_files", files=True)
FILTERS_PNG = Task("filters-png", "service.work.pictures:filters_png", files=True)
FILTERS_MAP = Task("filters-map", "service.work.pictures:filters_map", files=True)
FILTER_MEASUREMENTS = Task("filter-measurements", "service.work.pictures:filter_measurements", files=True)
HIERARCHY_PNG = Task("hierarchy-png", "service.work.pictures:hierarchy_png", files=True)
OVERLAY_PNG = Task("overlay-png", "service.work.pictures:overlay_png", files=True, documents=("image",))
PAGE_PICTURES = Task("page-pictures", "service.work.pictures:page_pictures", files=True, documents=("report",))
PREVIEW = Task("preview", "service.work.previewing:preview_document", files=True)
PROPOSALS = Task("proposals", "service.work.proposing:proposals_document", files=True)
COMPARISON = Task("comparison", "service.work.comparing:compare_documents", documents=("base", "head"))
SWEEP = Task("sweep", "service.work.sweeping:sweep_document", documents=("report",))
LESSON = Task("lesson", "service.work.lesson:lesson")
CHART = Task("chart", "service.work.report_pictures:chart_picture", documents=("report",), place="kept")
HISTORY = Task("history", "service.work.report_pictures:history_picture", place="kept")
PAGE = Task("page", "service.work.report_pictures:report_page", documents=("report",), place="kept")
TELL = Task("tell", "service.work.report_pictures:tell", documents=("report",), place="kept")
DESCRIBE = Task("describe", "service.work.report_pictures:describe", documents=("report",), place="kept")
WARM_UP = Task("warm-up", "service.work.report_pictures:warm_up", place="kept")

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        REPORT,
        LOCAL_REPORT,
        EXTERNALS,
        FILTERS_PNG,
        FILTERS_MAP,
        FILTER_MEASUREMENTS,
        HIERARCHY_PNG,
        OVERLAY_PNG,
        PAGE_PICTURES,
        PREVIEW,
        PROPOSALS,
        COMPARISON,
        SWEEP,
        LESSON,
        CHART,
        HISTORY,
        PAGE,
        TELL,
        DESCRIBE,
        WARM_UP,
    )
}
