"""Where in a JSON text a JSON pointer (RFC 6901) points, so that a message can stand at its line."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


def line_of(text: str, pointer: str) -> int:
    """The line, from 1, on which the value at `pointer` begins; of the nearest value around it where there is none there."""
    wanted = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    best_line, best_depth = 1, 0
    # For each open bracket the place in it: an index, a key, or None where a key comes next.
    path: list[str | int | None] = []
    counted, line = 0, 1
    for token in _TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        mark = token.group()
        if mark in "}]":
            path = path[:-1]
        elif mark == "," and path:
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif path and path[-1] is None:
            path[-1] = _unquoted(mark)
        elif mark not in ",:":
            if best_depth < len(path) <= len(wanted) and list(map(str, path)) == wanted[: len(path)]:
                best_line, best_depth = line, len(path)
            if mark in "{[":
                path.append(None if mark == "{" else 0)
    return best_line


def _unquoted(mark: str) -> str:
    try:
        return str(json.loads(mark))
    except ValueError:
        return mark
