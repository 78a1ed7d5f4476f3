"""Loads mappings from TOML files and from command-line options."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from stream_app.core.events.schema import Rejected, rejection
from stream_app.errors import BadMapping
from stream_app.mapping.checks import check_mapping
from stream_app.mapping.fields import did_you_mean
from stream_app.mapping.mapping import FileLayout, Mapping, OrderGrouping, TimeLayout

_COMMAND_LINE: Final = "on the command line"


def shipped_mappings() -> list[str]:
    """Return the names of the mappings shipped with this package.

    >>> "online-retail" in shipped_mappings()
    True
    """
    folder = resources.files("stream_app.mapping") / "shipped"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_mapping(name_or_path: str | Path) -> Mapping:
    """Load a shipped mapping by name, or any mapping by the path of its TOML file.

    Raises:
        BadMapping: the file cannot be read or is invalid.

    >>> load_mapping("cdnow").kind
    'order.paid'
    """
    name = str(name_or_path)
    if name in shipped_mappings():
        return parse_mapping(
            resources.files("stream_app.mapping").joinpath("shipped", f"{name}.toml").read_bytes(), name
        )
    try:
        return parse_mapping(Path(name).read_bytes(), name)
    except OSError as error:
        known = ["jsonl", "parquet", "csv", *shipped_mappings()]
        raise BadMapping(
            file=name,
            key="--format",
            problem=error.strerror,
            remedy=f"{did_you_mean(name, known)}Use {', '.join(known)}, or the path of a mapping.",
        ) from error


def parse_mapping(toml: bytes, name: str) -> Mapping:
    """Parse a mapping from TOML. Raise BadMapping if it is invalid; `name` is the name of the file."""
    try:
        mapping = msgspec.toml.decode(toml, type=Mapping)
    except msgspec.ValidationError as error:
        raise _misfit(rejection(error), name) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMapping(
            file=name, key="", problem=f"it is not TOML: {error}", remedy="See docs/reference/mappings.md."
        ) from error
    check_mapping(mapping, name)
    return mapping


def mapping_from_options(
    columns: Dict[str, str], kinds: Dict[str, str] | None = None, kind: str | None = None, base: Mapping | None = None
) -> Mapping:
    """Build a mapping from the options --columns, --kinds and --kind, which override the values in `base`.

    >>> mapping_from_options({"customer_id": "cust", "occurred_at": "date"}, kind="order").columns["occurred_at"]
    'date'
    """
    if kind and kinds:
        raise BadMapping(
            file=_COMMAND_LINE,
            key="--kind, --kinds",
            problem="both are given",
            remedy="Use --kind if all lines are of one kind, otherwise --kinds.",
        )
    base = base or Mapping()
    mapping = msgspec.structs.replace(
        base,
        columns={**base.columns, **columns},
        kinds={} if kind else {**base.kinds, **(kinds or {})},
        kind=kind or ("" if kinds else base.kind),
    )
    check_mapping(mapping, _COMMAND_LINE)
    return mapping


_UNKNOWN_KEY: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]+)`")
_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "": Mapping,
    "file": FileLayout,
    "time": TimeLayout,
    "orders": OrderGrouping,
}


def _misfit(problem: Rejected, name: str) -> BadMapping:
    """Return the error for an unknown key or a value of the wrong type."""
    unknown = _UNKNOWN_KEY.search(problem.reason)
    if unknown is None:
        return BadMapping(
            file=name, key=problem.field, problem=problem.reason, remedy="See docs/reference/mappings.md."
        )
    known: Sequence[str] = _SECTIONS[problem.field].__struct_fields__ if problem.field in _SECTIONS else ()
    key = f"{problem.field}.{unknown['key']}".lstrip(".")
    remedy = f"{did_you_mean(unknown['key'], known)}Known keys: {', '.join(known)}."
    return BadMapping(file=name, key=key, problem="the key is unknown", remedy=remedy)
