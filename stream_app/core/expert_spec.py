"""The list of experts in the churn model, as the settings name it.

An expert is built in and listed by its name, or it is any River classifier, listed by the import path of its class or
of a function that returns one (core/model/experts/river_expert.py). Importing this does not import River.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
import xxhash

from stream_app.errors import ContradictorySettings

SETTING: Final = "model.experts"
DECISIONS, EVENTS = "decisions", "events"
MAX_EXPERTS: Final = 16
RESERVED: Final = ("product", "mixture")  # other scorers in reports and metrics
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class ExpertSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An expert.

    Attributes:
        name: its name in reports, metrics and dashboards.
        model: import path of a class or function that returns a River classifier; empty for a built-in expert.
        arguments: arguments of that class or function, as a table by name or as a list. A table with `model`, and
            optionally `arguments`, is an estimator, made in the same way.
        features: features that it gets; none given: those of the tree. It also gets `prior`, in log-odds.
        scored: whether it scores `decisions` only, or also all `events`; only for imported models.
        share: its initial share in the ensemble; the shares are scaled so that they sum to 1.
        compared: whether it is only compared with the others, without a share.
    """

    name: str
    model: str = ""
    arguments: dict[str, Any] | list[Any] = {}
    features: tuple[str, ...] = ()
    scored: str = DECISIONS
    share: float = 0.05
    compared: bool = False

    @property
    def key(self) -> int:
        """Hash of everything that its predictions depend on. Another key is another expert.

        >>> forest = ExpertSpec("forest", "river.forest.ARFClassifier", {"seed": 1})
        >>> forest.key == msgspec.structs.replace(forest, share=0.3).key
        True
        """
        identity = [self.name, self.model, self.arguments, self.features]
        return xxhash.xxh32_intdigest(msgspec.json.encode(identity, order="sorted"))


BUILT_IN: Final = {
    one.name: one
    for one in (
        ExpertSpec("linear", scored=EVENTS, share=0.70),
        ExpertSpec("cells", scored=EVENTS, share=0.15),
        ExpertSpec("prior", scored=EVENTS, share=0.10),
        ExpertSpec("tree"),
        ExpertSpec("recency", scored=EVENTS, compared=True),
        ExpertSpec("plain", scored=EVENTS, compared=True),
    )
}
DEFAULT: Final = tuple(BUILT_IN.values())


def experts_of(entries: Sequence[str | Mapping[str, Any]]) -> tuple[ExpertSpec, ...]:
    """Return the experts of a list in the settings: names of built-in experts, or tables.

    Raises:
        ContradictorySettings: an entry or the list is invalid.

    >>> [one.name for one in experts_of(["linear", {"name": "bayes", "model": "river.naive_bayes.GaussianNB"}])]
    ['linear', 'bayes']
    """
    experts = tuple(_expert(entry) for entry in entries)
    check_list(experts)
    return experts


def check_list(experts: Sequence[ExpertSpec]) -> None:
    """Raise ContradictorySettings if a list of experts is invalid."""
    names = [one.name for one in experts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        refuse(f"names {twice!r} twice", "Give each expert its own name.")
    if len(names) > MAX_EXPERTS:
        refuse(f"has {len(names)} experts", f"List at most {MAX_EXPERTS}.")
    if not any(one.scored == EVENTS and not one.compared for one in experts):
        remedy = "Add one of linear, cells and prior, or set `scored` to events for a fast model."
        refuse("has no expert with a share that scores events", remedy)


def is_same_list(one: Sequence[ExpertSpec], other: Sequence[ExpertSpec]) -> bool:
    """Return whether two lists make the same model, apart from its initial shares."""
    return [_without_share(expert) for expert in one] == [_without_share(expert) for expert in other]


def refuse(problem: str, remedy: str) -> NoReturn:
    """Raise ContradictorySettings for the list of experts."""
    raise ContradictorySettings(name=SETTING, problem=problem, remedy=remedy)


def _without_share(expert: ExpertSpec) -> ExpertSpec:
    return msgspec.structs.replace(expert, share=0.0)


def _expert(entry: str | Mapping[str, Any]) -> ExpertSpec:
    if not isinstance(entry, str | Mapping):
        refuse(f"has an invalid entry {entry!r}", "Use the names of built-in experts, or tables.")
    given: dict[str, Any] = {"name": entry} if isinstance(entry, str) else dict(entry)
    built_in = BUILT_IN.get(str(given.get("name")))
    if built_in is not None:
        return _built_in(built_in, given)
    try:
        expert = msgspec.convert(given, ExpertSpec)
    except msgspec.ValidationError as error:
        fields = ", ".join(ExpertSpec.__struct_fields__)
        refuse(
            f"has an invalid entry {given.get('name', entry)!r} ({error})",
            f"Use the names of built-in experts, or {fields}.",
        )
    if not _NAME.fullmatch(expert.name) or expert.name in RESERVED:
        refuse(f"has the name {expert.name!r}", "Use a small letter, then small letters, digits and _; at most 31.")
    if not expert.model:
        refuse(f"has {expert.name!r}, which is no built-in expert", f"Use {', '.join(BUILT_IN)}, or set its `model`.")
    if not _PATH.fullmatch(expert.model):
        refuse(f"has {expert.name!r} with the model {expert.model!r}", "Use a path such as river.forest.ARFClassifier.")
    if expert.scored not in {DECISIONS, EVENTS}:
        refuse(f"has {expert.name!r}, scored {expert.scored!r}", f"Use {DECISIONS} or {EVENTS}.")
    return _with_valid_share(expert)


def _built_in(expert: ExpertSpec, given: Mapping[str, Any]) -> ExpertSpec:
    unknown = given.keys() - {"name", "share", "compared"}
    if unknown:
        remedy = "Built-in experts take `share` and `compared`. Use another name for a model of your own."
        refuse(f"sets {', '.join(sorted(unknown))} of {expert.name!r}", remedy)
    try:
        return _with_valid_share(msgspec.convert(msgspec.structs.asdict(expert) | dict(given), ExpertSpec))
    except msgspec.ValidationError as error:
        refuse(f"has an invalid entry {expert.name!r} ({error})", "Use a number for `share`, true or false otherwise.")


def _with_valid_share(expert: ExpertSpec) -> ExpertSpec:
    if not 0.0 < expert.share <= 1.0:
        refuse(f"has {expert.name!r} with a share of {expert.share}", "Use a share above 0, and at most 1.")
    return expert
