"""The line of a JSON pointer, in texts that need not be JSON at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.render.json_lines import line_of

TEXT = """{
  "receptive": 1,
  "input": {"shape": [1,
     3, 3]},
  "layers": [
    {"name": "a}", "type": "conv"},
    {"name": "b",
     "kernel": "",
     "filters": {"": 4}, "a/b~c":
        7
    }
  ]
}"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/receptive", 2),
        ("/input/shape/0", 3),
        ("/input/shape/1", 4),
        ("/layers/0", 6),
        ("/layers/0/type", 6),
        ("/layers/1", 7),
        ("/layers/1/kernel", 8),
        ("/layers/1/filters/", 9),
        ("/layers/1/a~1b~0c", 10),
        ("/layers/1/missing", 7),
        ("/layers/5", 5),
    ],
)
def test_the_line_of_a_pointer(pointer: str, line: int) -> None:
    assert line_of(TEXT, pointer) == line


TEXTS = st.text(st.characters(exclude_characters="\N{BLACK STAR}", codec="utf-8"))


@given(st.text(alphabet='{}[]:,"a1 \n\\', max_size=60))
def test_no_text_is_too_broken(text: str) -> None:
    assert 1 <= line_of(text, "/a/1") <= text.count("\n") + 1


@given(
    st.recursive(st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)),
    st.data(),
)
def test_the_line_is_that_of_the_value(value: Any, data: st.DataObject) -> None:
    """Written with one value a line, the value at any pointer is found by counting lines as json does."""
    pointer, place = "", value
    while isinstance(place, list | dict) and place:
        key = data.draw(st.sampled_from(range(len(place)) if isinstance(place, list) else list(place)))
        pointer += "/" + str(key).replace("~", "~0").replace("/", "~1")
        place = place[key]
    marked = _marked(value, pointer.split("/")[1:])
    text = json.dumps(value, indent=1)
    assert line_of(text, pointer) == json.dumps(marked, indent=1).split('"\\u2605"')[0].count("\n") + 1


def _marked(value: Any, path: list[str]) -> Any:
    """The value with a star, which json escapes, in the place at the path."""
    if not path:
        return "\N{BLACK STAR}"
    key = path[0].replace("~1", "/").replace("~0", "~")
    if isinstance(value, list):
        return [_marked(entry, path[1:]) if str(index) == key else entry for index, entry in enumerate(value)]
    return {name: _marked(entry, path[1:]) if name == key else entry for name, entry in value.items()}
