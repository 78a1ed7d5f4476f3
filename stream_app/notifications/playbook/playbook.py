"""Playbook reader: loads the default playbook and overlays the shop's own."""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from stream_app.config.fields import ContradictionError, Section
from stream_app.config.yaml_model import Sections, read_model
from stream_app.config.yaml_nodes import YamlProblemError
from stream_app.core.segments.segments import SEGMENTS
from stream_app.errors import BadPlaybook
from stream_app.notifications.playbook.measures import CAUSES, DEFAULT, MAX_STEPS, Kind, Limits, Part, Playbook, Text

SHIPPED: Final = "playbook.yaml"
_SECTIONS: Final[Sections] = {("limits", 2): Limits, ("never", 3): Text, ("causes", 4): Part, ("causes", 6): Text}
_SEE: Final = "See docs/reference/playbook.md."
_NO_OFFERS: Final = ("ad_harassment", "unresolved_complaint", "natural")


def _key(name: str, known: tuple[str, ...], what: str) -> str:
    if name not in known:
        raise ContradictionError((), f"is not a {what}", f"Use one of: {', '.join(known)}.")
    return name


Cause = Annotated[str, AfterValidator(partial(_key, known=CAUSES, what="cause"))]
Segment = Annotated[str, AfterValidator(partial(_key, known=(DEFAULT, *SEGMENTS), what="segment"))]


class PlaybookFile(Section):
    """A playbook file. Everything in it is optional; for entries without a value, the default playbook applies."""

    limits: Limits = Limits()
    never: Annotated[tuple[Text, ...], Field(max_length=MAX_STEPS)] = ()
    causes: Annotated[dict[Cause, dict[Segment, Part]], Field(default_factory=dict)]

    @model_validator(mode="before")
    @classmethod
    def _has_content(cls, values: Any) -> Any:
        if values is None:
            raise ContradictionError((), "is empty", "Start with `causes:`.")
        return values

    @model_validator(mode="after")
    def _does_no_harm(self) -> Self:
        for cause, entries in self.causes.items():
            for segment, part in entries.items():
                place, remedy = ("causes", cause, segment, "kind"), "Use service or rest."
                if part.kind is Kind.PROMOTION and cause in _NO_OFFERS:
                    raise ContradictionError(place, "is promotion, which is not allowed for this cause", remedy)
                if part.kind is Kind.CARE and cause == "ad_harassment":
                    raise ContradictionError(place, "is care, but further contact is not allowed", remedy)
        return self


def load_playbook(own: Path | None = None) -> Playbook:
    """Return the default playbook overlaid with the shop's own, which may replace individual fields of an entry.

    Raises BadPlaybook, which states the file, line and field.

    >>> load_playbook().measure("ad_harassment").kind
    <Kind.REST: 'rest'>
    """
    return _read(own, str(own), _shipped()) if own is not None else _shipped()


@cache
def _shipped() -> Playbook:
    with as_file(files(__package__) / SHIPPED) as path:
        return _read(path, f"{SHIPPED} (shipped)", Playbook())


def _read(path: Path, name: str, under: Playbook) -> Playbook:
    """Return the playbook in a file, overlaid on another one. `name` is the name of the file in errors."""
    try:
        file, _ = read_model(path, PlaybookFile, _SECTIONS, _SEE)
    except YamlProblemError as error:
        raise BadPlaybook(
            file=name, line=error.line, field=error.field or "the file", problem=error.problem, remedy=error.remedy
        ) from error
    layer = {(cause, segment): part for cause, entries in file.causes.items() for segment, part in entries.items()}
    return Playbook(
        limits=under.limits.model_copy(update=file.limits.model_dump(exclude_unset=True)),
        never=file.never if "never" in file.model_fields_set else under.never,
        layers=(layer, *under.layers),
    )
