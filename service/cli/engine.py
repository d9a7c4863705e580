"""Models and reports that a command is given, and the processes with limits where they are worked on."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, Self

from service.cli.failures import Failure, failure_of
from service.cli.progress import TURN_SECONDS, stage
from service.clock import now
from service.edits import Edit
from service.faults import Refused
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.message import BrokenAnalysisError, Call
from service.options import Options, settled
from service.render.html import report_html
from service.report.comparison import Comparison
from service.report.document import SCHEMA, Report
from service.report.identity import options_document
from service.report.plain import NotAReport, of_plain, read_report, write_report
from service.report.proposals import Proposals
from service.report.variant import variant_options
from service.settings import Settings
from service.work import tasks
from service.work.tasks import Task

Chosen = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]


class Model(Protocol):
    """A model that can be analysed and drawn, here or by a service. All raise Failure."""

    def report(self) -> Report:
        """The report, as the service stores it."""

    def variant(self, report: Report, edits: Sequence[Edit], shapes: Shapes) -> Report:
        """The report on the model with edits and with other shapes of its inputs; `report` is that without them."""

    def proposals(self, report: Report, goal: str, seconds: float) -> Proposals:
        """The smallest edits with which the model reaches a goal; a service has bounds of its own on the time."""

    def page(self, report: Report) -> bytes:
        """The report as one HTML file, with the pictures that the service would put into it."""

    def filters(self, chosen: Chosen) -> bytes:
        """The weight grid of a convolution as a PNG, by the grid options `chosen`."""

    def hierarchy(self, depth: int, strongest: int, chosen: Chosen) -> bytes:
        """The filters of the depth-th convolution in pixels as a PNG."""


class Engine:
    """Runs functions in processes of their own, `size` at a time, held to the limits of the service's settings. Close it when done."""

    def __init__(self, settings: Settings, size: int = 1) -> None:
        self.settings, self.size = settings, size
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()

    def run(self, call: Call, name: str, file: Path | None) -> bytes:
        """What a call makes; `name` is the stage that a terminal shows.

        Failure where the input is at fault, in `file`, or our own code is.
        """
        pool = self._started()
        ticket = pool.submit(call)
        try:
            # Of many at a time, a line for each would be torn.
            with stage(name) if self.size == 1 else nullcontext(lambda: None) as tick:
                while True:
                    try:
                        return pool.wait(ticket, TURN_SECONDS).content
                    except TimeoutError:
                        tick()
        except Refused as error:
            raise failure_of(error, file) from None
        except BrokenAnalysisError as error:
            reason = str(error).strip().splitlines()[-1]
            raise Failure("analysis-failed", f"A fault of Receptive's own: {reason}", file) from None

    def _started(self) -> ProcessPool:
        with self._lock:
            if self._pool is None:
                settings = self.settings
                limits = Limits(settings.job_memory_bytes, settings.job_cpu_seconds, settings.job_wall_seconds)
                self._pool = ProcessPool(self.size, self.size, limits)
            return self._pool

    def compare(self, base: Report, head: Report, budgets: Mapping[str, object]) -> Comparison:
        """The comparison of two reports (service.report.comparison.compare)."""
        documents = {"base": write_report(base), "head": write_report(head)}
        return of_plain(Comparison, json.loads(self.run(Call(tasks.COMPARISON, {"budgets": dict(budgets)}, documents), "Comparing", None)))

    def companions(self, path: Path, given: Sequence[Path]) -> dict[str, Path]:
        """The files of external data that go with the model at `path`, by bare name: those `given`, and those it names beside it.

        A file beside it is taken where the model gives its bare name; hidden files and symbolic links never are, because the model's
        author may not be the owner of the folder.
        """
        files = {file.name: file for file in given}
        named: list[str] = json.loads(self.run(Call(tasks.EXTERNALS, files={"": str(path)}), f"Opening {path.name}", path))
        for name in named:
            beside = path.parent / name
            usable = name == beside.name and not name.startswith(".") and os.path.isfile(beside) and not beside.is_symlink()
            if name not in files and usable:
                files[name] = beside
        return files


class LocalModel:
    """A model that is analysed on this machine."""

    def __init__(self, engine: Engine, path: Path, options: Options, externals: Mapping[str, Path]) -> None:
        self._engine, self._path = engine, path
        self._files = {"": str(path.resolve()), **{name: str(file.resolve()) for name, file in externals.items()}}
        size = sum(file.stat().st_size for file in (path, *externals.values()))
        self._options = settled(options, size, engine.settings.auto_read_bytes)

    def report(self) -> Report:
        """The report, with the address that the service would give it."""
        return read_report(self._run(tasks.LOCAL_REPORT, "Analysing", created_at=now()))

    def variant(self, report: Report, edits: Sequence[Edit], shapes: Shapes) -> Report:
        """The report on the model with edits, with the address that the service would give it."""
        try:
            options = variant_options(self._options, report, edits, shapes)
        except Refused as error:
            raise failure_of(error, self._path) from None
        return read_report(self._run(tasks.LOCAL_REPORT, "Changing", options=options, created_at=now()))

    def proposals(self, report: Report, goal: str, seconds: float) -> Proposals:
        """The smallest edits with which the model reaches a goal."""
        return of_plain(Proposals, json.loads(self._run(tasks.PROPOSALS, "Searching edits of", goal=goal, seconds=seconds)))

    def page(self, report: Report) -> bytes:
        """The report as one HTML file, with pictures of the model's filters."""
        drawn = json.loads(self._run(tasks.PAGE_PICTURES, "Drawing filters of", {"report": write_report(report)}))
        return report_html(report, {name: base64.b64decode(picture) for name, picture in drawn.items()})

    def filters(self, chosen: Chosen) -> bytes:
        """The weight grid of a convolution as a PNG."""
        return self._run(tasks.FILTERS_PNG, "Drawing filters of", chosen=dict(chosen))

    def hierarchy(self, depth: int, strongest: int, chosen: Chosen) -> bytes:
        """The filters of the depth-th convolution in pixels as a PNG."""
        return self._run(tasks.HIERARCHY_PNG, "Drawing deeper filters of", depth=depth, strongest=strongest, chosen=dict(chosen))

    def _run(
        self, task: Task, verb: str, documents: Mapping[str, bytes] | None = None, options: Options | None = None, **arguments: Any
    ) -> bytes:
        call = Call(task, {"options": options_document(options or self._options), **arguments}, documents or {}, files=self._files)
        return self._engine.run(call, f"{verb} {self._path.name}", self._path)


def stored_report(path: Path) -> Report | None:
    """The report that a .json file holds; None where it holds something else, such as a layer spec. Failure for an unknown schema."""
    if path.suffix != ".json":
        return None
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("receptive."):
        return None
    if schema != SCHEMA:
        raise Failure("unknown-schema", f"This has the schema {schema}; only reports ({SCHEMA}) can be read.", path)
    try:
        return of_plain(Report, document)
    except NotAReport as error:
        raise Failure("invalid-report", f"This report lacks something or was changed: {error}.", path) from None
