"""The OpenAPI side of flask-smorest, with problem documents in the place of its own errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marshmallow
from flask_smorest import Api, Blueprint
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from service.api.features.schemas import ProblemSchema
from service.api.http.problem_types import FAULTS, PROBLEM_TYPES
from service.api.http.problems import MEDIA_TYPE, http_problem

Chosen = dict[str, Any]
"""The arguments of a request, as its schema read them."""


class StrictParser(FlaskParser):
    """Refuses arguments that do not exist, because a misspelt one would silently do nothing."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": marshmallow.RAISE}  # noqa: RUF012 as in the base


class Feature(Blueprint):  # type: ignore[misc]
    """The routes of one feature."""

    ARGUMENTS_PARSER = StrictParser()

    def arguments(self, schema: object, **options: object) -> Callable[[object], object]:
        """As in flask-smorest, but documents the 422 as a problem."""
        parse = super().arguments(schema, **options)

        def decorator(function: object) -> object:
            """The function with parsed arguments, its 422 documented by `problems` alone."""
            wrapper = parse(function)
            # The name there is HTTPStatus(422).name, which depends on the version of Python.
            del wrapper._apidoc["arguments"]["responses"]
            return self.problems(422)(wrapper)

        return decorator

    def problems(self, *statuses: int) -> Callable[[object], object]:
        """Documents problem documents as answers."""

        def decorator(function: object) -> object:
            """The function with an answer for each status that it does not document itself."""
            for status in statuses:
                documented = getattr(function, "_apidoc", {}).get("response", {}).get("responses", {})
                if status not in documented:
                    codes = sorted(code for code, kind in PROBLEM_TYPES.items() if kind.status == status)
                    titles = [kind.title for kind in FAULTS.values() if kind.status == status]
                    description = "; ".join([*titles, "code " + ", ".join(f"`{code}`" for code in codes)])
                    function = self.alt_response(status, schema=ProblemSchema, content_type=MEDIA_TYPE, description=description)(function)
            return function

        return decorator

    def picture(self, media_type: str, word: str, *statuses: int) -> Callable[[object], object]:
        """Documents a route that draws: the picture, called `word`, a 304 where the client has it, and these problems."""

        def decorator(function: object) -> object:
            """The function with its answers."""
            function = self.problems(*statuses)(function)
            function = self.alt_response(304, description=f"The {word} is the one that If-None-Match names.")(function)
            schema = {"type": "string", "contentMediaType": media_type} if media_type.startswith("image/") else {"type": "object"}
            return self.response(200, schema, content_type=media_type, description=f"The {word}.")(function)

        return decorator


class ProblemApi(Api):  # type: ignore[misc]
    """flask-smorest's Api whose errors are problem documents."""

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.ma_plugin.converter.add_attribute_function(json_schema)

    def _register_responses(self) -> None:
        """Registers what flask-smorest documents for every operation: any other status is a problem as well."""
        answer = {"description": "Any other problem.", "content": {MEDIA_TYPE: {"schema": ProblemSchema}}}
        self.spec.components.response(self.DEFAULT_ERROR_RESPONSE_NAME, answer, lazy=True)

    def handle_http_exception(self, error: HTTPException) -> object:
        """The problem document of an HTTP error."""
        return http_problem(error).response()


def json_schema(_: Any, field: marshmallow.fields.Field[Any], ret: dict[str, Any], **options: Any) -> dict[str, Any]:
    r"""The limits of a field that apispec takes over from Python as they are. In JSON Schema an expression is one of ECMA-262, which has no
    `\Z` and matches anywhere, and `maxLength` is of strings only."""
    limits = {}
    if "pattern" in ret:
        limits["pattern"] = "^" + ret["pattern"].removesuffix(r"\Z") + "$"
    if ret.get("type") == "object" and "maxLength" in ret:
        limits["maxProperties"] = ret.pop("maxLength")
    return limits


class ReportIdConverter(BaseConverter):
    """The id of an analysis in an address, or its beginning."""

    regex = "sha256-[0-9a-f]{8,64}"


class LayerConverter(BaseConverter):
    """The index or the percent-encoded name of a layer in an address; names may hold slashes, also at their beginning, and line breaks."""

    regex = r"[\s\S]+?"
    part_isolating = False
