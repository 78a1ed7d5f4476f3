"""Loader of message templates, which are sandboxed, exist in two languages and can be replaced by the shop's own files.

A template may use only a small part of Jinja2 (`_ALLOWED`). It cannot call methods, assign values, read other files or
repeat a text many times, so its size limits the cost of rendering it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from jinja2 import filters, nodes, tests
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stream_app.errors import BadTemplate

NAMES: Final = ("alert", "item", "title")
FUNCTIONS: Final = ("strong",)  # functions that a template may call
LISTS: Final = ("alerts", "causes", "evidence", "never", "steps")  # lists that it may loop over
FILTERS: Final = (
    "capitalize", "count", "d", "default", "first", "int", "join", "last", "length", "lower", "title", "trim",
    "truncate", "upper",
)  # fmt: skip
TESTS: Final = ("defined", "in", "none", "number", "string", "undefined")  # `odd` uses `%`, which also formats strings
MAX_SOURCE_BYTES: Final = 10_000
MAX_CHARACTERS: Final = 60_000  # maximum of a rendered text: three times the limit of any channel
MAX_LOOPS: Final = 2  # maximum nesting depth
_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Concat, nodes.Add, nodes.Sub, nodes.Div, nodes.FloorDiv,
    nodes.Keyword, nodes.Test,
)  # fmt: skip
_PROBLEMS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: f"only {', '.join(FUNCTIONS)}(text) can be called",
    nodes.Name: f"{', '.join(FUNCTIONS)} is a function of a text; {', '.join(LISTS)} cannot be assigned",
    nodes.For: f"a loop must be over {', '.join(LISTS)} or a slice of one, nested at most {MAX_LOOPS} times",
    nodes.Filter: f"join needs one of {', '.join(LISTS)} or a slice of one, and a constant text",
}
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n){2,}+")  # left by omitted parts; possessive, so linear
_REMEDY: Final = "Fix it, or remove it to use the default template. See docs/reference/playbook.md."


class Templates:
    """Message templates by language and name.

    The sandbox restricts a template to the values passed to it: template authors may write texts but not run code.

    Args:
        own: folder with the shop's own templates, `LANGUAGE/NAME.j2`. Defaults are used for any that are missing.
    """

    def __init__(self, own: Path | None = None) -> None:
        if own is not None and not own.is_dir():
            raise BadTemplate(file=own, line=1, problem="the folder does not exist", remedy="Check the path.")
        self._own = own
        # No HTML escaping: the output is Markdown and plain text, and `masking` has made untrusted texts safe.
        self._environment = _Sandbox(
            loader=jinja2.FunctionLoader(self._load),
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )
        self._environment.globals.clear()  # some globals are types
        self._environment.filters = {name: filters.FILTERS[name] for name in FILTERS}
        self._environment.tests = {name: tests.TESTS[name] for name in TESTS}

    def render(self, language: str, name: str, values: Mapping[str, Any]) -> str:
        """Render a template without superfluous blank lines. Raise BadTemplate on failure."""
        file = f"{language}/{name}.j2"
        try:
            parts = self._environment.get_template(file).generate(values)
            return _BLANK_LINES.sub("\n\n", "".join(_bounded(parts)).strip())
        except Exception as error:  # a template must never stop the notifier
            message = error.message if isinstance(error, jinja2.TemplateError) else error
            raise BadTemplate(
                file=file,
                line=_line(error, file),
                problem=f"{type(error).__name__}: {message}".rstrip("."),
                remedy=_REMEDY,
            ) from error

    def _load(self, name: str) -> tuple[str, str, None]:
        """Load and check the source of a template. It is read only once."""
        path = self._own_file(name) or Path(str(files(__package__))) / "templates" / name
        with path.open("rb") as file:
            source = file.read(MAX_SOURCE_BYTES + 1)
        if len(source) > MAX_SOURCE_BYTES:
            raise jinja2.TemplateSyntaxError(f"it is larger than {MAX_SOURCE_BYTES:,} bytes", 1, name)
        text = source.decode("utf-8")
        _check(self._environment.parse(text, name))
        return text, name, None

    def _own_file(self, name: str) -> Path | None:
        """Return the path of the shop's own template, or None. Links to files outside the folder are rejected."""
        if self._own is None:
            return None
        path = self._own / name
        if not path.exists() and not path.is_symlink():
            return None
        if not path.is_file() or not path.resolve().is_relative_to(self._own.resolve()):
            raise jinja2.TemplateSyntaxError("it is not a file in the template folder", 1, name)
        return path


class _Sandbox(ImmutableSandboxedEnvironment):
    """Sandbox without types or methods, in which only the functions in FUNCTIONS can be called."""

    def wrap_str_format(self, value: Any) -> None:  # noqa: ARG002 - there is no `format` to wrap
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not callable(value)


def _check(node: nodes.Node, loops: int = 0) -> None:
    """Raise TemplateSyntaxError if a template uses a forbidden part of Jinja2."""
    loops += isinstance(node, nodes.For)
    if not _is_allowed(node, loops):
        raise jinja2.TemplateSyntaxError(
            _PROBLEMS.get(type(node), f"`{type(node).__name__.lower()}` is not allowed in a template"), node.lineno
        )
    for child in node.iter_child_nodes():
        if not (isinstance(node, nodes.Call) and child is node.node):
            _check(child, loops)


def _is_allowed(node: nodes.Node, loops: int) -> bool:
    """Return whether a node is allowed at a loop depth of `loops`."""
    match node:
        case nodes.Call(node=nodes.Name(name=name), dyn_args=None, dyn_kwargs=None):
            return name in FUNCTIONS
        case nodes.Name():
            return node.name not in FUNCTIONS and (node.ctx == "load" or node.name not in LISTS)
        case nodes.For():
            return loops <= MAX_LOOPS and not node.recursive and _is_list(node.iter)
        case nodes.Filter():
            return node.name != "join" or (_is_list(node.node) and _is_constant(node))
        case _:
            return isinstance(node, _ALLOWED)


def _is_list(node: nodes.Node | None) -> bool:
    """Return whether a node is one of LISTS or a slice of one, like `alert.causes[:budget.causes]`."""
    while isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        node = node.node
    if isinstance(node, nodes.Getattr):
        inner, name = node.node, node.attr
        while isinstance(inner, nodes.Getitem | nodes.Getattr):
            inner = inner.node
        return isinstance(inner, nodes.Name) and name in LISTS
    return isinstance(node, nodes.Name) and node.name in LISTS


def _is_constant(node: nodes.Filter) -> bool:
    """Return whether all arguments of a filter are constants."""
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    return all(isinstance(one, nodes.Const) for one in arguments) and not (node.dyn_args or node.dyn_kwargs)


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    length = 0
    for part in parts:
        length += len(part)
        if length > MAX_CHARACTERS:
            raise ValueError(f"the text is longer than {MAX_CHARACTERS:,} characters")
        yield part


def _line(error: BaseException, file: str) -> int:
    """Return the line of the template that failed, or 1 if unknown."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    return (frames[-1] if frames else None) or 1
