"""Playbook reader: loads the default playbook and overlays the shop's own."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from stream_app.core.segments.segments import SEGMENTS
from stream_app.i18n import LANGUAGES
from stream_app.notifications.playbook.measures import (
    CAUSES,
    DEFAULT,
    Channel,
    Kind,
    Limits,
    Part,
    Playbook,
    Text,
)
from stream_app.notifications.playbook.yaml_nodes import Node, read_playbook

SHIPPED: Final = "playbook.yaml"
MAX_TEXT: Final = 200  # maximum characters, since steps are read on a phone
MAX_STEPS: Final = 6
_NO_OFFERS: Final = ("ad_harassment", "unresolved_complaint", "natural")
_LARGEST: Final = 1e9


def load_playbook(own: Path | None = None) -> Playbook:
    """Return the default playbook overlaid with the shop's own, which may replace individual fields of an entry.

    Raises BadPlaybook, which states the file, line and field.

    >>> load_playbook().measure("ad_harassment").kind
    <Kind.REST: 'rest'>
    """
    return _read(read_playbook(own), _shipped()) if own is not None else _shipped()


@cache
def _shipped() -> Playbook:
    with as_file(files(__package__) / SHIPPED) as path:
        return _read(read_playbook(path, f"{SHIPPED} (shipped)"), Playbook())


def _read(root: Node, under: Playbook) -> Playbook:
    """Return the playbook in a file, overlaid on another one."""
    entries = root.entries(("limits", "never", "causes"), "entry")
    never = _texts(entries["never"]) if "never" in entries else under.never
    limits = _limits(entries["limits"], under.limits) if "limits" in entries else under.limits
    if "causes" not in entries:
        return Playbook(limits, never, under.layers)
    measures: dict[tuple[str, str], Part] = {}
    for cause, node in entries["causes"].entries(CAUSES, "cause").items():
        for segment, place in node.entries((DEFAULT, *SEGMENTS), "segment").items():
            measures[cause, segment] = _part(place, cause)
    playbook = Playbook(limits, never, (measures, *under.layers))
    _refuse_gaps(playbook, entries["causes"])
    return playbook


def _limits(node: Node, under: Limits) -> Limits:
    entries = node.entries(("contacts_a_week", "phone_from"), "limit")
    contacts, phone = entries.get("contacts_a_week"), entries.get("phone_from")
    return Limits(
        contacts_a_week=round(contacts.number(1, 7)) if contacts else under.contacts_a_week,
        phone_from=phone.number(0, _LARGEST) if phone else under.phone_from,
    )


def _part(node: Node, cause: str) -> Part:
    entries = node.entries(("kind", "steps", "channels", "never"), "field")
    kind = Kind(entries["kind"].word([one.value for one in Kind])) if "kind" in entries else None
    if kind is Kind.PROMOTION and cause in _NO_OFFERS:
        entries["kind"].refuse("a promotion is not allowed for this cause", "Use service or rest.")
    if kind is Kind.CARE and cause == "ad_harassment":
        entries["kind"].refuse("further contact is not allowed for this cause", "Use service or rest.")
    return Part(
        kind=kind,
        steps=_texts(entries["steps"], least=1) if "steps" in entries else None,
        channels=_channels(entries["channels"]) if "channels" in entries else None,
        never=_texts(entries["never"]) if "never" in entries else None,
    )


def _channels(node: Node) -> tuple[Channel, ...]:
    known = [one.value for one in Channel]
    return tuple(Channel(item.word(known)) for item in node.items())


def _texts(node: Node, least: int = 0) -> tuple[Text, ...]:
    items = node.items()
    if not least <= len(items) <= MAX_STEPS:
        node.refuse(f"it has {len(items)} items", f"Use {least} to {MAX_STEPS}.")
    return tuple(_text(item) for item in items)


def _text(node: Node) -> Text:
    entries = node.entries(LANGUAGES, "language")
    for language in LANGUAGES:
        if language not in entries:
            node.refuse(f"`{language}` is missing", "Give the text in both languages: {en: ..., zh: ...}.")
    return Text(entries["en"].text(MAX_TEXT), entries["zh"].text(MAX_TEXT))


def _refuse_gaps(playbook: Playbook, node: Node) -> None:
    """Raise BadPlaybook if a cause has no default entry with steps."""
    for cause in CAUSES:
        if not any((cause, DEFAULT) in layer for layer in playbook.layers) or not playbook.measure(cause).steps:
            node.refuse(f"`{cause}` has no default measure", f"Add `{cause}:` with `default:` and its `steps:`.")
