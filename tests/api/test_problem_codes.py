"""Every problem code that the source can give stands in the documentation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import service
from service.api.http.model_problems import DOCUMENTED, anchor_of
from service.api.http.problem_types import FAULTS

SOURCE = Path(service.__file__).parent
DOCUMENTATION = SOURCE.parent / "docs"

# Which argument of a call is a problem code.
PLACES = {"Refused": 1, "refused_at": 1, "Problem": 0}
REFUSALS = {"refuse", "misfit", "unfit", "invalid"}
CODE = re.compile(r"[a-z]+(-[a-z]+)+")


def codes(tree: ast.AST) -> Iterator[str]:
    """The codes written out in the calls of a module; a function that refuses something takes one as any of its arguments."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in PLACES:
            arguments = call.args[PLACES[name] : PLACES[name] + 1]
        elif name.lstrip("_") in REFUSALS:
            arguments = call.args
        else:
            continue
        yield from (each.value for each in arguments if isinstance(each, ast.Constant) and CODE.fullmatch(str(each.value)))


def test_every_code_in_the_source_is_documented() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTATION.glob("*.md"))
    used = {code for path in SOURCE.rglob("*.py") for code in codes(ast.parse(path.read_text()))}
    assert used >= {"not-protobuf", "graph-cycle", "channels-mismatch", "unknown-input", "no-filters", "limit-memory", "job-not-found"}
    # The `type` of every problem leads to an anchor of the page /docs. What is wrong with one field of a spec is never a problem by itself.
    fields = {code for code in used if f"`{code}`" in (DOCUMENTATION / "layer-spec.md").read_text()}
    assert sorted(code for code in used - FAULTS.keys() - fields if anchor_of(code) not in DOCUMENTED) == []
    assert sorted(code for code in used - FAULTS.keys() if f"`{code}`" not in text) == []
