"""Questions about models that lie elsewhere: which version it is and which files go with it, before anybody works on it.

1. What tells a version (an ETag, a run) is part of the question, so a model that changed is another question.
2. The model's files of external data are named in its structure, which a process of its own reads (the task `externals`); those that lie
   beside it go with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from service.jobs.drawing import Drawing
from service.jobs.intake import Accepted, Intake
from service.jobs.message import Call
from service.options import Options, settled
from service.report.identity import Project, Question
from service.sources.address import Address
from service.sources.opening import Found, Sources
from service.store.interfaces import SINGLE
from service.work import tasks

MAX_EXTERNALS = 1000
"""Files of external data that are looked for beside a model."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Finds models by their address and has them analysed. `auto_read_bytes` settles `read_weights=auto` of these."""

    sources: Sources
    intake: Intake
    drawing: Drawing
    auto_read_bytes: int

    def ask(self, project: Project, address: Address, options: Options, seconds: float, rank: int = SINGLE, client: str = "") -> Accepted:
        """Have the model at an address analysed, unless that is done or under way.

        Refused `source-…` where it cannot be had, and as the intake says; TimeoutError where its structure is not read in `seconds`.
        """
        model = self.sources.find(address)
        externals = dict(self._externals(model, seconds))
        size = sum(found.source.size for found in (model, *externals.values()))
        identities = {name: found.identity for name, found in externals.items()}
        question = Question(model.identity, identities, settled(options, size, self.auto_read_bytes))
        for found in (model, *externals.values()):
            self.sources.hand_over(found)
        return self.intake.accept(project, {}, question, rank=rank, client=client)

    def _externals(self, model: Found, seconds: float) -> Iterator[tuple[str, Found]]:
        """The files that the model names and that lie beside it, by name."""
        made = self.drawing.of_call(Call(tasks.EXTERNALS, lent={"": model.source}), seconds)
        names: list[str] = json.loads(made.content)
        for name in names[:MAX_EXTERNALS]:
            if name and not name.startswith(".") and "/" not in name:
                found = self.sources.beside(model.identity, name)
                if found is not None:
                    yield name, found
