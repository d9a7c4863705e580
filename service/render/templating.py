"""The templates of documents and pages: Jinja2 with everything escaped, and the filters that every text from a model goes through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from service.render.words.numbers import number, percent, times
from service.render.words.shapes import example_shape
from service.render.words.text import shown

WEB = Path(__file__).parents[1] / "web"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(shown=shown, number=number, percent=percent, times=times, example_shape=example_shape)
    environment.globals["static_text"] = static_text
    return environment


def static_text(name: str) -> Markup:
    """One of our own style sheets or scripts, to be put into a document; they hold no text of a model."""
    return Markup((WEB / "static" / name).read_text())


def framing(asked: Mapping[str, str]) -> dict[str, object]:
    """How a page is shown, by its query: `embed` inside a panel of another page, `theme` light or dark, whatever the machine says."""
    theme = asked.get("theme")
    return {"embed": asked.get("embed") == "1", "theme": theme if theme in ("light", "dark") else None}


_ENVIRONMENT = _environment()


def render(template: str, **values: object) -> str:
    """The text of a template. A value that a template needs and does not get is an error, never a blank."""
    return _ENVIRONMENT.get_template(template).render(**values)
