"""The table of tasks: every name resolves, and everything that a task takes can be said in JSON or is bytes."""

from __future__ import annotations

import inspect
import json
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from service.options import Options
from service.report.identity import Digest, Question, options_document, question_document, read_options, read_question
from service.work import tasks
from service.work.made import Made
from service.work.tasks import TASKS, Task

ALL = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
PLAIN = (str, int, float, bool, types.NoneType, Any, object)


def is_plain(kind: Any) -> bool:
    """Whether JSON can say every value of a type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return all(isinstance(value, str) for value in inner)
    if origin in (Mapping, Sequence, list, dict, typing.Union, types.UnionType):
        return all(map(is_plain, inner))
    return kind in PLAIN


def test_every_task_of_the_module_is_in_the_table_under_its_name() -> None:
    written = {value.name: value for value in vars(tasks).values() if isinstance(value, Task)}
    assert written == dict(TASKS)
    assert len({task.function for task in TASKS.values()}) == len(TASKS)


@ALL
def test_task_resolves_and_makes_content_of_a_media_type(task: Task) -> None:
    function = pkgutil.resolve_name(task.function)
    assert typing.get_type_hints(function)["return"] is Made


@ALL
def test_task_takes_files_documents_and_what_json_can_say(task: Task) -> None:
    function = pkgutil.resolve_name(task.function)
    hints = typing.get_type_hints(function)
    parameters = dict(inspect.signature(function).parameters)
    assert ("files" in parameters) == task.files
    for name in task.documents:
        assert bytes in (hints[name], *typing.get_args(hints[name]))
    for name in parameters.keys() - {"files", *task.documents}:
        assert is_plain(hints[name]), f"{task.name}: {name} is {hints[name]}"


def test_what_is_plain_is_told_from_what_is_not() -> None:
    assert is_plain(Mapping[str, Any]) and is_plain(Sequence[int] | None) and is_plain(typing.Literal["a", "b"])
    assert not any(map(is_plain, (bytes, Options, Mapping[str, bytes], tuple[int, ...], typing.Literal[b"a"])))


def test_options_and_questions_survive_json() -> None:
    options = Options("a\ud800", {"x": (1, 3, 8, 8), "": (2,)}, "first", 0.25, "bgr", "ignore")
    question = Question.of_digests(Digest("0" * 64), {"w.bin": Digest("f" * 64)}, options)
    assert read_options(json.loads(json.dumps(options_document(options)))) == options
    assert read_question(json.loads(json.dumps(question_document(question)))) == question


def test_naming_a_task_loads_nothing_that_runs() -> None:
    code = "import sys, service.work.tasks; print([m for m in sys.modules if m.startswith('service.') or m in ('onnx', 'numpy')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "['service.work', 'service.work.tasks']"
