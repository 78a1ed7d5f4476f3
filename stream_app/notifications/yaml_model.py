"""Reads YAML files as pydantic models. Errors state the line, field and remedy, but never show a value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stream_app.config.fields import ContradictionError, Place
from stream_app.config.yaml_nodes import Lines, YamlProblemError, line_of, read_yaml, values_of

Model = TypeVar("Model", bound=BaseModel)
Sections = Mapping[tuple[str, int], type[BaseModel]]
# problem and remedy by pydantic's type of the error
_PROBLEMS: Final = {
    "missing": ("is missing", ""),
    "model_type": ("is not a mapping", "Write names with values, like `name: value`. "),
    "dict_type": ("is not a mapping", "Write names with values, like `name: value`. "),
    "tuple_type": ("is not a list", "Write one item per line, each starting with `- `. "),
    "string_type": ("is not a text", "Write a text. Put it in quotes. "),
    "too_short": ("has too few entries", "The minimum is {min_length}. "),
    "too_long": ("has too many entries", "The maximum is {max_length}. "),
}


def read_model(path: Path, model: type[Model], sections: Sections, see: str) -> tuple[Model, Lines]:
    """Return the content of a YAML file as a model, and the line of each value.

    Args:
        path: path of the file.
        model: model of the whole file.
        sections: models of the sections, by first name and length of the paths in them.
        see: sentence that refers to the documentation.

    Raises:
        YamlProblemError: the file cannot be read, or a value is invalid.
    """
    values, lines = values_of(read_yaml(path))
    try:
        return model.model_validate(values), lines
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = tuple(str(part) for part in first["loc"] if part != "[key]")
    section = sections.get((place[0], len(place)), model) if place else model
    raise _translated(first, place, lines, list(section.model_fields), see)


def problem_at(place: Place, problem: str, remedy: str, lines: Lines) -> YamlProblemError:
    """Return the error for the value at a place in the file."""
    return YamlProblemError(line_of(place, lines), problem, remedy, ".".join(place))


def _translated(error: ErrorDetails, place: Place, lines: Lines, names: list[str], see: str) -> YamlProblemError:
    context = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, ContradictionError):
        return problem_at((*place, *cause.place), cause.problem, cause.remedy, lines)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], names, n=1, cutoff=0.6)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of: {', '.join(names)}."
        return problem_at(place, "is unknown", f"{hint} {see}", lines)
    message = error["msg"][:1].lower() + error["msg"][1:]
    problem, remedy = _PROBLEMS.get(error["type"], (f"is invalid: {message}", ""))
    return problem_at(place, problem, remedy.format(**context) + see, lines)
