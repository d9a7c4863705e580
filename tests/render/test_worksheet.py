"""Worksheets: what is asked is not given away, and the key is made of the report's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

from service.render.words.worksheet import MOST_LAYERS, worksheet
from tests import networks
from tests.reports import document_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_lenet_is_asked_for_its_published_numbers() -> None:
    report = document_of(json.loads((EXAMPLES / "lenet-5.json").read_text()))
    exercises = {exercise.layer: exercise for exercise in worksheet(report)}
    answers = [question.answer for question in exercises["c1"].questions]
    # LeCun et al. 1998: C1 has 156 trainable parameters.
    assert "(5·5·1 + 1)·6 = 156" in answers
    assert "kernel 5×5" in exercises["c1"].given
    assert "156" not in exercises["c1"].given


def test_a_connection_table_is_given() -> None:
    """Without the table of LeNet-5's C3 nobody can work out its 1,516 parameters."""
    report = document_of(json.loads((EXAMPLES / "lenet-5.json").read_text()))
    c3 = next(layer for layer in worksheet(report) if layer.layer == "c3")
    assert "by a table of 60 pairs, map 0 reads 0, 1, 2; map 1 reads 1, 2, 3;" in c3.given
    assert any(question.answer.endswith("= 1,516") for question in c3.questions)


def test_a_worksheet_stays_short_and_asks_nothing_twice() -> None:
    exercises = worksheet(document_of(networks.resnet_v1_50()))
    assert len(exercises) == MOST_LAYERS
    assert len({exercise.given for exercise in exercises}) == MOST_LAYERS
    assert [exercise.index for exercise in exercises] == sorted(exercise.index for exercise in exercises)
    assert all(exercise.questions for exercise in exercises)


def test_a_model_without_geometry_has_no_exercises() -> None:
    assert (
        worksheet(
            document_of({"receptive": 1, "name": "r", "input": {"shape": [3]}, "layers": [{"type": "activation", "function": "relu"}]})
        )
        == []
    )
