"""The templates of messages: sandboxed, in two languages, each replaceable by a file of the shop's own."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stream_app.errors import BadTemplate

NAMES: Final = ("alert", "item", "title")
# What a template of the shop's own may do wrong when it runs, beside what Jinja finds itself.
_FAILURES: Final = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n)+\n")  # what was left out leaves them
_REMEDY: Final = "Mend it, or remove it to use the shipped one; docs/playbook.md lists what a template sees."


class Templates:
    """Renders a template by language and name.

    The sandbox keeps a template from reaching anything but the values that it is given: a folder of templates may come
    from somebody who may write texts, but not run programs.

    Args:
        own: a folder with templates of the shop's own, `LANGUAGE/NAME.j2`; those that it lacks are the shipped ones.
    """

    def __init__(self, own: Path | None = None) -> None:
        shipped = files(__package__) / "templates"
        folders = [*([str(own)] if own else []), str(shipped)]
        if own is not None and not own.is_dir():
            problem = "the folder is not there"
            raise BadTemplate(file=own, line=1, problem=problem, remedy="Check the path.")
        # Nothing is escaped as HTML: it is Markdown and plain text, and `masking` has made the words of others safe.
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(folders),
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )

    def render(self, language: str, name: str, values: Mapping[str, Any]) -> str:
        """The text, without blank lines at its ends or two in a row. Raises BadTemplate."""
        file = f"{language}/{name}.j2"
        try:
            text = self._environment.get_template(file).render(values).strip()
            return _BLANK_LINES.sub("\n\n", text)
        except _FAILURES as error:
            problem = f"{type(error).__name__}: {error}".rstrip(".")
            raise BadTemplate(file=file, line=_line(error, file), problem=problem, remedy=_REMEDY) from error


def _line(error: BaseException, file: str) -> int:
    """The line of a template at which it failed; 1 if nobody knows."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    return (frames[-1] if frames else None) or 1
