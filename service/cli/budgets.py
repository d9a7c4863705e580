"""A file of budgets: a YAML mapping of the names in service.report.comparison.BUDGETS to limits."""

from __future__ import annotations

import math
import re
from pathlib import Path

import yaml

from service.cli.failures import Failure

MOST_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """Plain data only. PyYAML keeps to YAML 1.1, in which 25e6 is a text; here it is a number, as in YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def read_budgets(path: Path) -> dict[str, object]:
    """The budgets in a file. Failure `invalid-budget` where it is no mapping of names to finite numbers, booleans or lists.

    Whether a budget exists and takes such a limit is for the comparison to say.
    """
    if path.stat().st_size > MOST_BYTES:
        raise Failure("invalid-budget", f"A file of budgets has at most {MOST_BYTES:,} bytes.", path)
    try:
        # _Loader is a SafeLoader.
        document = yaml.load(path.read_bytes(), Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: {getattr(error, 'problem', None) or 'wrong here'}" if mark else str(error).splitlines()[0]
        raise Failure("invalid-budget", f"This is not YAML: {place}.", path) from None
    if not isinstance(document, dict) or not document or not all(isinstance(name, str) for name in document):
        raise Failure(
            "invalid-budget", "A file of budgets is a mapping such as `max_parameters: 5_000_000`, with one budget at least.", path
        )
    for name, limit in document.items():
        if isinstance(limit, float) and not math.isfinite(limit):
            raise Failure("invalid-budget", f"{name} takes a finite number.", path)
    return document
