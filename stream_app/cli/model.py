"""The `stream-app model` commands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import typer

from stream_app.cli.options import ConfigOption, JsonOption, SetOption, load_settings
from stream_app.cli.output import iso_time, results, write_document, write_json
from stream_app.cli.tables import show_table
from stream_app.config import LiveConfig
from stream_app.core.causes.catalogue import CAUSES
from stream_app.core.expert_spec import ExpertSpec
from stream_app.core.partition.progress import decode_summary
from stream_app.errors import UnknownVersion
from stream_app.ports import ModelVersion
from stream_app.services.runtime.stores import Stores, with_stores

if TYPE_CHECKING:  # their import takes seconds
    from stream_app.core.model.churn_model import ChurnModel
    from stream_app.core.model.expert_checks import Cost

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List, show and roll back model versions; check experts."
)
_NO_VERSION: Final = (
    "There is no model version yet. The first one follows the first labels, one horizon after the first decisions."
)
_NONE_IN_FORCE: Final = "No version is in use yet. The next tick activates the newest one (see `model list`)."
_SHOWN_FEATURES: Final = 8


@app.command("list")
def list_models(as_json: JsonOption = False, config: ConfigOption = None, given: SetOption = None) -> None:
    """List the stored model versions, newest last."""
    settings = load_settings(config, given=given)
    kept = with_stores(settings, lambda stores: _kept(stores, settings))
    if as_json:
        write_json(_content(one, kept) for one in kept.versions)
    elif not kept.versions:
        results().print(_NO_VERSION, soft_wrap=True)
    else:
        rows = [
            (
                str(one.number),
                iso_time(one.effective_at),
                f"{one.examples:,}",
                f"{one.stored_bytes:,}",
                one.fingerprint[:12],
                _use(one.number, kept.pinned, kept.in_use),
            )
            for one in kept.versions
        ]
        columns = {"version": 0, "effective from": 0, "examples": 0, "bytes": 0, "fingerprint": 0, "": 12}
        show_table(results(), "Model versions, newest last", columns, rows)


@app.command()
def show(
    version: Annotated[
        int | None, typer.Argument(metavar="VERSION", help="Version number. Default: the version in use.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Show a model version: its training data, expert weights and most important features."""
    settings = load_settings(config, given=given)
    kept = with_stores(settings, lambda stores: _kept(stores, settings))
    number = max(kept.in_use.values(), default=0) if version is None else version
    if version is None and not number:
        results().print(_NONE_IN_FORCE if kept.versions else _NO_VERSION, soft_wrap=True)
        return
    about, model = with_stores(settings, lambda stores: _model(stores, number))
    importances = dict(sorted(model.importances.items(), key=lambda one: -one[1])[:_SHOWN_FEATURES])
    if as_json:
        more = {"churned": model.churned, "weights": about.shares, "drifts": len(model.drift)}
        more |= {"causes": _learned(model, settings)}
        write_document(_content(about, kept) | more | {"importances": importances})
        return
    rows = {
        "effective from": iso_time(about.effective_at),
        "trained on": f"{model.examples:,} examples, {model.churned:,} of them churned",
        "fingerprint": about.fingerprint,
        "size": f"{about.stored_bytes:,} bytes",
        "weights": ", ".join(f"{name} {share:.2f}" for name, share in about.shares.items()),
        "drift": f"{len(model.drift)} changes of the loss detected",
    }
    use = _use(number, None, kept.in_use)
    console = results()
    title = f"Version {number}{f', {use}' if use else ''}"
    show_table(console, title, {"name": 0, "value": 24}, list(rows.items()))
    columns = {"feature": 0, "mean change of the log-odds": 0}
    moved = [(name, f"{weight:.3f}") for name, weight in importances.items()]
    show_table(console, "Most important features on the last day", columns, moved)
    if learned := _learned(model, settings):
        console.print(_accuracy_text(learned), soft_wrap=True)
        columns = {"cause": 0, "one-time buyers": 0, "repeat buyers": 0}
        priors = [
            (name, *(f"{was:.3f} → {now:.3f}" for was, now in pairs)) for name, pairs in learned["priors"].items()
        ]
        show_table(console, "Priors of the causes, configured and learned", columns, priors)


@app.command()
def check(as_json: JsonOption = False, config: ConfigOption = None, given: SetOption = None) -> None:
    """Check the models of `model.experts` on made-up decisions, and show what they cost. Needs no Redis."""
    from stream_app.core.model.expert_checks import check_experts

    experts = load_settings(config, given=given).settings().experts
    costs = check_experts(experts, time.perf_counter)
    rows = [_check_row(one, costs.get(one.name)) for one in experts]
    if as_json:
        write_json(rows)
        return
    columns = dict.fromkeys(("expert", "model", "scores", "first share", "µs/decision", "µs/label", "bytes"), 0)
    shown = [tuple("" if value is None else _number(value) for value in row.values()) for row in rows]
    show_table(results(), "Experts", columns, shown)


@app.command()
def rollback(
    version: Annotated[
        int | None, typer.Argument(metavar="VERSION", help="Version number. Default: the newest version.")
    ] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Pin a stored model version from the next tick on. Without a number, return to the newest version."""
    settings = load_settings(config, given=given)

    with_stores(settings, lambda stores: stores.models.pin(version))
    what = f"Version {version}" if version is not None else "The newest version"
    where = "; with ticks.clock = log, ticks come from the published log" if settings.ticks.clock == "log" else ""
    results().print(f"{what} takes effect with the next tick{where}.")


def _learned(model: ChurnModel, settings: LiveConfig) -> dict[str, Any] | None:
    """Return what a model has learned from confirmed causes, or None if there are none."""
    if model.feedback is None or not model.feedback.causes.total:
        return None
    causes, shop = model.feedback.causes, settings.shop.settings()
    configured = shop.one_time_priors, shop.repeat_priors
    learned = causes.priors(*configured)
    pairs = {name: [(a.get(name, 0.0), b[name]) for a, b in zip(configured, learned, strict=True)] for name in CAUSES}
    right = model.feedback.accuracy
    return {
        "in_use": shop.learn_causes,
        "confirmed": causes.total,
        "blind": causes.judged,
        **{name: right.get(name) for name in ("first", "among_three")},
        "priors": pairs,
    }


def _accuracy_text(learned: Mapping[str, Any]) -> str:
    """Describe how often the likely causes were right.

    >>> _accuracy_text({"confirmed": 9, "blind": 0, "in_use": True})
    'Causes confirmed by staff: 9, none of them without a hint.'
    >>> shares = {"first": (0.7, 0.61, 0.78), "among_three": (0.9, 0.83, 0.94)}
    >>> text = _accuracy_text({"confirmed": 900, "blind": 100, "in_use": False, **shares})
    >>> text.partition(" without a hint, ")[0]
    'Causes confirmed by staff: 900 (not used). Of 100 confirmed'
    >>> text.partition(" without a hint, ")[2]
    'the first cause was right for 70 % (61 to 78 %), one of the first three for 90 % (83 to 94 %).'
    """
    unused = "" if learned["in_use"] else " (not used)"
    text = f"Causes confirmed by staff: {learned['confirmed']:,}{unused}"
    if not learned["blind"]:
        return f"{text}, none of them without a hint."
    first, three = (
        f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f} %)"
        for share, low, high in (learned["first"], learned["among_three"])
    )
    return (
        f"{text}. Of {learned['blind']:,} confirmed without a hint, the first cause was right for {first}, one of the"
        f" first three for {three}."
    )


def _check_row(expert: ExpertSpec, cost: Cost | None) -> dict[str, Any]:
    return {
        "expert": expert.name,
        "model": expert.model or "built-in",
        "scores": expert.scored,
        "first_share": None if expert.compared else expert.share,
        "decision_us": None if cost is None else round(cost.decision, 1),
        "label_us": None if cost is None else round(cost.label, 1),
        "bytes": None if cost is None else cost.stored_bytes,
    }


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


class KeptVersions(NamedTuple):
    """The stored versions, the pinned one, and the version that each partition uses."""

    versions: list[ModelVersion]
    pinned: int | None
    in_use: dict[int, int]


async def _kept(stores: Stores, config: LiveConfig) -> KeptVersions:
    summaries = await stores.states.summaries(range(config.kafka.partitions))
    in_use = {number: decode_summary(one).version for number, one in summaries.items() if one}
    return KeptVersions(await stores.models.versions(), await stores.models.pinned(), in_use)


async def _model(stores: Stores, version: int) -> tuple[ModelVersion, ChurnModel]:
    from stream_app.core.model.snapshot import restore

    kept = await stores.models.versions()
    found = [one for one in kept if one.number == version]
    stored = await stores.models.snapshot(version)
    if not found or stored is None:
        raise UnknownVersion(number=version, kept=", ".join(str(one.number) for one in kept) or "none")
    return found[0], restore(stored, f"of version {version}")


def _content(version: ModelVersion, kept: KeptVersions) -> dict[str, Any]:
    return msgspec.to_builtins(version) | {
        "effective_at": iso_time(version.effective_at),
        "created_at": iso_time(version.created_at),
        "pinned": version.number == kept.pinned,
        "in_use_by_partitions": [partition for partition, used in kept.in_use.items() if used == version.number],
    }


def _use(number: int, pinned: int | None, in_use: dict[int, int]) -> str:
    """Describe whether a version is pinned and which partitions use it.

    >>> _use(3, 3, {0: 3, 1: 2}), _use(2, None, {0: 2, 1: 2}), _use(1, None, {0: 2})
    ('pinned, in use by partition 0', 'in use', '')
    """
    used = [str(partition) for partition, version in in_use.items() if version == number]
    where = "" if len(used) == len(in_use) else f" by partition {', '.join(used)}"
    return ", ".join(["pinned"] * (number == pinned) + [f"in use{where}"] * bool(used))
