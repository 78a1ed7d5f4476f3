"""The `stream-app replay` command."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from stream_app.cli.options import (
    ColumnsOption,
    FormatOption,
    KindOption,
    KindsOption,
    LangOption,
    LogsArgument,
    language,
    one_of,
    pairs,
    share,
)
from stream_app.cli.output import messages
from stream_app.cli.progress import ProgressBars
from stream_app.config.policy_file import load_policy
from stream_app.core.durations import duration
from stream_app.core.expert_spec import ExpertSpec, experts_of
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption
from stream_app.i18n import Translator
from stream_app.ingest import LogFormat, Progress
from stream_app.replay.request import Request, Watcher
from stream_app.report.terminal import summary

if TYPE_CHECKING:  # its import takes seconds
    from stream_app.core.model.expert_checks import Cost

_DURATIONS: Final = (
    "horizon",
    "active_window",
    "decide_every",
    "lateness",
    "lost_after",
    "act_before",
    "alert_lifetime",
    "agreement",
)


def replay(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    ctx: typer.Context,
    logs: LogsArgument,
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    form: FormatOption = "jsonl",
    horizon: Annotated[
        str | None, typer.Option(help="A customer without an order for this long has churned. Default: 60d.")
    ] = None,
    active_window: Annotated[
        str | None, typer.Option(help="Decisions cover customers with an order in this period. Default: 180d.")
    ] = None,
    decide_every: Annotated[
        str | None, typer.Option(help="Interval between decisions per customer. Default: 7d.")
    ] = None,
    lost_after: Annotated[
        str | None, typer.Option(help="The shop's own rule for lost customers. Default: --active-window.")
    ] = None,
    lateness: Annotated[
        str | None, typer.Option(help="How late an event may arrive and still count fully. Default: 1d.")
    ] = None,
    columns: ColumnsOption = None,
    kinds: KindsOption = None,
    kind: KindOption = None,
    order_action: Annotated[
        str | None, typer.Option(help="Event that counts as an order: placed or paid. Default: paid.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Time zone of the shop, such as Asia/Shanghai. Default: UTC.")
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(help="Maximum number of new alerts per working day. Default: 30.")
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(
            help="Which customers to call: a plan of the calls that reach the most revenue (worth) or people (reach) in"
            " time, or those at the highest risk (risk). Default: worth."
        ),
    ] = None,
    act_before: Annotated[
        str | None,
        typer.Option(
            help="How long before a customer counts as lost a call must come, with --rank-by worth or reach. Default: a"
            " quarter of --lost-after."
        ),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="YAML file with the contact policy (docs/how-to/policy.md).")
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            help="Share of customers who are not called, such as 0.2 or 20%, with --rank-by worth or reach. Default: 0."
        ),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="Name of the holdout. A new name draws other customers. Default: calls.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with these and all other shop settings.")] = None,
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Number of partitions, as in Kafka.")] = 1,
    predictions: Annotated[str, typer.Option(help="Format of the predictions: csv or parquet.")] = "csv",
    max_rejected: Annotated[str, typer.Option(help="Exit with status 3 if more lines than this are rejected.")] = "1%",
    lang: LangOption = "",
    not_after: Annotated[datetime | None, typer.Option(help="Reject events after this day (UTC).")] = None,
    currency: Annotated[
        str,
        typer.Option(help="Currency of amounts in the report, such as CNY. Default: that of the log, if it names one."),
    ] = "",
    contact_cost: Annotated[
        float, typer.Option(min=0, help="Cost of one call, for what a call must achieve to pay. Default: not known.")
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(help="Stored with the results. The current models use no randomness.")
    ] = None,
) -> None:
    """Replay a recorded log and report how early churn would have been detected."""
    given = {
        "horizon": horizon,
        "active_window": active_window,
        "decide_every": decide_every,
        "lost_after": lost_after,
        "lateness": lateness,
        "order_action": order_action,
        "zone": zone,
        "capacity": capacity,
        "rank_by": rank_by,
        "act_before": act_before,
        "policy": None if policy is None else str(policy),
        "holdout.share": None if holdout is None else share(holdout),
        "holdout.experiment": experiment,
        "seed": seed,
    }
    from stream_app.replay.session import check_rejected, replay_log

    request = Request(
        logs=tuple(logs),
        form=LogFormat(form, pairs(columns), pairs(kinds), kind),
        settings=read_settings(settings, given),
        out=out,
        partitions=partitions,
        predictions=one_of("--predictions", predictions, ("csv", "parquet")),
        lang=language(lang),
        max_rejected=share(max_rejected),
        currency=currency,
        contact_cost=contact_cost,
        command=command_of(ctx, language(lang)),
        not_after=not_after.replace(tzinfo=UTC) if not_after else None,
    )
    with ProgressBars() as bars:
        figures, log_summary = replay_log(request, _Bars(bars, request.lang))
    messages().print(summary(figures, request.lang, request.out / "report.html"))
    check_rejected(request, log_summary)


def command_of(ctx: typer.Context, lang: str) -> str:
    """Return the command that gives the same results, without folders: names of the logs, and every option given."""
    words = ["stream-app", "replay"]
    for parameter in ctx.command.params:
        name, value = str(parameter.name), ctx.params.get(str(parameter.name))
        if name == "logs":
            words += [PurePath(one).name for one in value or ()]
        elif name == "out":
            words += ["--out", "OUT"]
        elif name == "lang":
            words += ["--lang", lang]
        elif (source := ctx.get_parameter_source(name)) is not None and source.name != "DEFAULT":
            values = value if isinstance(value, list | tuple) else [value]
            words += [word for one in values for word in (parameter.opts[0], option_text(name, one))]
    return shlex.join(words)


def option_text(name: str, value: object) -> str:
    """Return the value of an option as it is written on the command line, files by their names."""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return PurePath(text).name if name == "settings" or (name == "form" and text.endswith(".toml")) else text


def read_settings(path: Path | None, given: dict[str, Any]) -> Settings:
    """Return the settings from a TOML file, overridden by the given values. Raises BadOption.

    Durations are written as on the command line; a number in the file means days. `policy` is the path of a file.
    """
    values = {} if path is None else _read_toml(path)
    for name, value in given.items():
        section, _, rest = name.rpartition(".")
        if value is not None:
            (values.setdefault(section, {}) if section else values)[rest] = value
    policy, model = values.pop("policy", None), values.pop("model", None)
    if model is not None:
        values["experts"] = _experts(path, model)
    _read_durations(values, _DURATIONS)
    if isinstance(values.get("holdout"), dict):
        _read_durations(values["holdout"], ("window",))
    try:
        found = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise BadOption(option="--settings", value=str(path), remedy=f"{error}.") from error
    return found if policy is None else found.with_policy(load_policy(Path(policy)))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"It cannot be opened: {error.strerror}. Check the path."
        raise BadOption(option="--settings", value=str(path), remedy=remedy) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadOption(option="--settings", value=str(path), remedy=f"It is not TOML: {error}.") from error


def _experts(path: Path | None, model: object) -> tuple[ExpertSpec, ...]:
    """Return the experts that a settings file names in its section `model`, as the services' settings do."""
    entries = model.get("experts") if isinstance(model, dict) and model.keys() <= {"experts", "key_file"} else None
    if not isinstance(entries, list):
        remedy = "Its section model may hold `experts`, a list (docs/how-to/bring-your-own-model.md)."
        raise BadOption(option="--settings", value=str(path), remedy=remedy)
    return experts_of(entries)


def _read_durations(values: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if isinstance(values.get(name), str):
            values[name] = duration(values[name])
        elif isinstance(values.get(name), int | float):
            values[name] = round(values[name] * DAY_US)


class _Bars(Watcher):
    def __init__(self, bars: ProgressBars, lang: str) -> None:
        self._bars, self._words = bars, Translator(lang, "cli")

    def checked(self, costs: Mapping[str, Cost]) -> None:
        for name, cost in costs.items():
            said = {"expert": name, "decision": f"{cost.decision:,.0f}", "label": f"{cost.label:,.0f}"}
            messages().print(self._words.text("replay.expert", **said), soft_wrap=True)

    def reading(self, progress: Progress) -> None:
        self._bars.show(self._words.text("replay.read"), completed=progress.share)

    def replaying(self, events: int, of: int, decisions: int) -> None:
        note = self._words.text("replay.decisions", count=f"{decisions:,}")
        self._bars.show(self._words.text("replay.replay"), completed=events, total=of, note=note)

    def writing(self, what: str) -> None:
        self._bars.show(self._words.text("replay.replay"), note=self._words.text("replay.write", what=what))
