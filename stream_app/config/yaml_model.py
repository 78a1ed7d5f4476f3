"""Reads YAML files as pydantic models. Errors state the line, field and remedy.

Of the values, errors show only numbers and words from a fixed list, since a text may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stream_app.config.fields import ContradictionError, Place
from stream_app.config.yaml_nodes import Lines, YamlProblemError, line_of, path_of, read_yaml, values_of

Model = TypeVar("Model", bound=BaseModel)
Sections = Mapping[tuple[str, int], type[BaseModel]]
_NUMBER: Final = ("is not a plain number", "Write it in decimal digits, without quotes. ")
_WHOLE: Final = ("is not a whole number", "Write it in decimal digits, without quotes. ")
_LOW, _HIGH = "is {value}, which is too small", "is {value}, which is too large"
# problem and remedy by pydantic's type of the error
_PROBLEMS: Final = {
    "missing": ("is missing", ""),
    "model_type": ("is not a mapping", "Write names with values, like `name: value`. "),
    "dict_type": ("is not a mapping", "Write names with values, like `name: value`. "),
    "tuple_type": ("is not a list", "Write one item per line, each starting with `- `. "),
    "string_type": ("is not a text", "Write a text. Put it in quotes. "),
    "string_too_long": ("has {length} characters", "The maximum is {max_length}. "),
    "enum": ("is {value!r:.60}", "Use {expected}. "),
    "literal_error": ("is {value!r:.60}", "Use {expected}. "),
    "bool_type": ("is not true or false", "Use true or false. "),
    "bool_parsing": ("is not true or false", "Use true or false. "),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": (_LOW, "Use a number above {gt}. "),
    "greater_than_equal": (_LOW, "The minimum is {ge:,.0f}. "),
    "less_than_equal": (_HIGH, "The maximum is {le:,.0f}. "),
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
    return YamlProblemError(line_of(place, lines), problem, remedy, path_of(place))


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
    facts = {"value": error["input"], "length": len(str(error["input"])), "message": message, **context}
    problem, remedy = _PROBLEMS.get(error["type"], ("is invalid: {message}", ""))
    return problem_at(place, problem.format(**facts), remedy.format(**facts) + see, lines)
