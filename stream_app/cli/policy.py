"""The `stream-app policy` commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.text import Text

from stream_app.cli.options import (
    ColumnsOption,
    ConfigOption,
    FormatOption,
    JsonOption,
    KindOption,
    KindsOption,
    LangOption,
    SetOption,
    language,
    load_settings,
    one_of,
    pairs,
)
from stream_app.cli.output import iso_time, local_time, results, write_document
from stream_app.cli.progress import ProgressBars
from stream_app.cli.replay import read_settings
from stream_app.cli.tables import show_table
from stream_app.config.policy_file import example_policy, load_policy
from stream_app.core.durations import format_duration
from stream_app.core.settings import Settings
from stream_app.core.units import from_micros
from stream_app.errors import BadOption
from stream_app.i18n import Translator
from stream_app.ingest import LogFormat
from stream_app.services.runtime.policy_versions import in_force, publish as publish_policy
from stream_app.services.runtime.stores import with_stores

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, publish and compare contact policies: who may be called, and how often.",
)
_SPANS: Final = frozenset({"expire_after", "cooldown", "rest_after_opt_out", "until", "window"})

OnProgress = Callable[[int, int], None]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Policy file.")]


@app.command()
def check(file: FileArgument, lang: LangOption = "") -> None:
    """Check a policy file. If it is invalid, print the line and a remedy, and exit with status 2."""
    policy, words = load_policy(file), Translator(language(lang), "cli")
    results().print(Text(words.text("policy.valid", file=file, version=policy.version)), soft_wrap=True)


@app.command()
def publish(file: FileArgument, config: ConfigOption = None, given: SetOption = None, lang: LangOption = "") -> None:
    """Put a policy in force from the next tick on, without a restart. Publishing it again changes nothing."""
    policy, loaded, words = load_policy(file), load_settings(config, given=given), Translator(language(lang), "cli")
    settings = loaded.shop.settings()
    published, is_new = with_stores(loaded, lambda stores: publish_policy(stores.policies, settings, policy))
    since = local_time(from_micros(published.effective_at), settings.clock)
    key = "policy.published" if is_new else "policy.unchanged"
    lines = [words.text(key, version=published.version, since=since)]
    if loaded.ticks.clock == "log":
        lines.append(words.text("policy.log_clock"))
    results().print(Text("\n".join(lines)), soft_wrap=True)


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Policy file. Default: the policy in force, from Redis.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    lang: LangOption = "",
    given: SetOption = None,
) -> None:
    """Show the policy in force, or that of a file, with the settings' values where it has none."""
    loaded, words = load_settings(config, given=given), Translator(language(lang), "cli")
    settings, since = loaded.shop.settings(), None
    if file is not None:
        settings = settings.with_policy(load_policy(file))
    else:
        initial = settings
        settings, since = with_stores(loaded, lambda stores: in_force(stores.policies, initial))
    version, effective = settings.policy.version, _effective(settings)
    if as_json:
        write_document({"version": version, "since": since and iso_time(since.effective_at), **effective})
        return
    columns = {words.text("policy.field"): 0, words.text("policy.value"): 24}
    title = words.text("policy.title", version=version)
    if since is not None:
        at = local_time(from_micros(since.effective_at), settings.clock)
        title = words.text("policy.title_since", version=version, since=at)
    show_table(results(), title, columns, list(_rows(effective, "")))


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="File to write.")] = Path("policy.yaml"),
    lang: LangOption = "",
) -> None:
    """Write a policy file with the defaults and comments. An existing file is never overwritten."""
    lang = language(lang)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(example_policy(lang))
    except OSError as error:
        remedy = f"It cannot be created: {error.strerror}. Use another path."
        raise BadOption(option="FILE", value=str(file), remedy=remedy) from error
    results().print(Text(Translator(lang, "cli").text("policy.written", file=file)), soft_wrap=True)


@app.command(name="try")
def try_(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Policy files to compare.")],
    logs: Annotated[list[str], typer.Option("--log", metavar="LOG", help="Log file or folder. Repeatable.")],
    form: FormatOption = "jsonl",
    columns: ColumnsOption = None,
    kinds: KindsOption = None,
    kind: KindOption = None,
    rank_by: Annotated[str, typer.Option(help="What the plan of calls reaches: worth or reach.")] = "worth",
    horizon: Annotated[str | None, typer.Option(help="As for `replay`.")] = None,
    lost_after: Annotated[str | None, typer.Option(help="As for `replay`.")] = None,
    act_before: Annotated[str | None, typer.Option(help="As for `replay`.")] = None,
    capacity: Annotated[int | None, typer.Option(help="As for `replay`, for policies without `per_day`.")] = None,
    zone: Annotated[str | None, typer.Option(help="As for `replay`.")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with these and all other shop settings.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the comparison as a page: an HTML file.")] = None,
    as_json: JsonOption = False,
    lang: LangOption = "",
) -> None:
    """Replay a log under each policy, and compare the customers that the calls would have reached in time."""
    from stream_app.cli.trial import show_trial
    from stream_app.replay.policy_trial import try_policies
    from stream_app.report.trial import Comparison
    from stream_app.report.trial_page import write_trial

    policies, words = [load_policy(file) for file in files], Translator(language(lang), "cli")
    given = {
        "rank_by": one_of("--rank-by", rank_by, ("worth", "reach")),
        "horizon": horizon,
        "lost_after": lost_after,
        "act_before": act_before,
        "capacity": capacity,
        "zone": zone,
    }
    shop, log_format = read_settings(settings, given), LogFormat(form, pairs(columns), pairs(kinds), kind)
    if out is not None:
        _check_page(out)
    with ProgressBars() as bars:

        def observer(place: int, total: int) -> OnProgress:
            label = words.text("policy.replay", policy=files[place].name)
            return lambda events, _: bars.show(label, completed=events, total=total)

        found = try_policies(logs, log_format, shop, policies, observer)
    rules = _differences([_effective(shop.with_policy(policy)) for policy in policies])
    figures = [asdict(one) for one in found]
    shown = Comparison(_names(files), figures, shop, [Path(log).name for log in logs], rules)
    if out is not None:
        write_trial(shown, out, language(lang))
    if as_json:
        write_document([{"file": str(file), **one} for file, one in zip(files, figures, strict=True)])
        return
    show_trial(results(), shown, language(lang))
    if out is not None:
        results().print(Text(words.text("policy.page", file=out)), soft_wrap=True)


def _check_page(page: Path) -> None:
    """Create the folder of a page, and check that the page can be written, before the replays. Raises BadOption."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        is_new = not page.exists()
        page.open("ab").close()
        if is_new:
            page.unlink()  # a replay that fails leaves no empty page
    except OSError as error:
        remedy = f"It cannot be created: {error.strerror}. Use another path."
        raise BadOption(option="--out", value=str(page), remedy=remedy) from error


def _names(files: Sequence[Path]) -> list[str]:
    """Return the names of the policies: those of the files, or their paths if names repeat."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def _differences(policies: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the name of each rule in which the policies differ, with its values; an empty one is not set."""
    rules = [dict(_rows(policy, "")) for policy in policies]
    names = dict.fromkeys(name for one in rules for name in one)
    rows = [(name, *(one.get(name, "") for one in rules)) for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _effective(settings: Settings) -> dict[str, Any]:
    """Return the policy as builtins, with the settings' values where the policy has none."""
    found: dict[str, Any] = msgspec.to_builtins(settings.policy)
    found["capacity"]["per_day"] = settings.capacity
    found["cases"] = {"expire_after": settings.alert_lifetime, "cooldown": settings.cooldown}
    found["holdout"] = msgspec.to_builtins(settings.holdout)
    found["campaigns"] = msgspec.to_builtins(settings.campaigns)
    shown: dict[str, Any] = _with_durations(found)
    return shown


def _with_durations(value: Any, name: str = "") -> Any:
    """Return builtins with durations as text, such as 30d."""
    if isinstance(value, dict):
        return {key: _with_durations(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_durations(inner) for inner in value]
    return format_duration(value) if name in _SPANS and value is not None else value


def _rows(values: dict[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{path}.")
        elif value not in (None, "", [], {}):
            yield path, value if isinstance(value, str) else msgspec.json.encode(value).decode()
