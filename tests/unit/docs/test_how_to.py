"""What the guides tell people to write can be used: settings, mappings, channels, commands, names of metrics."""

from __future__ import annotations

import base64
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from stream_app.cli import app
from stream_app.cli.replay import read_settings
from stream_app.config import SHOP_TOPICS, LiveConfig, load_config
from stream_app.config.listing import rows
from stream_app.core.expert_spec import BUILT_IN, ExpertSpec
from stream_app.core.model.expert_checks import check_experts
from stream_app.ingest import load_mapping
from stream_app.metrics.index import SERVICES
from stream_app.notifications.channel_file import read_channels

DOCS = Path(__file__).parents[3] / "docs"
HOW_TO = DOCS / "how-to"
GUIDES = [
    page
    for page in [*sorted(DOCS.rglob("*.md")), DOCS.parent / "README.md", DOCS.parent / "README.zh.md"]
    if page.parent.name != "adr"
]
OF_EARLIER_RELEASES = {"upgrade.md", "upgrade.zh.md"}  # they name what was renamed
BOTH = ("", ".zh")


def by_path(page: Path) -> str:
    return str(page.relative_to(DOCS.parent))


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in a language; those in a list are indented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("lang", BOTH)
def test_the_mappings_of_an_export_and_of_contacts_can_be_used(lang: str, tmp_path: Path) -> None:
    mappings = []
    for code in blocks(HOW_TO / f"own-log{lang}.md", "toml"):
        (tmp_path / "my.toml").write_text(code, encoding="utf-8")
        mappings.append(load_mapping(str(tmp_path / "my.toml")))
    assert mappings[0].description
    assert set(mappings[1].kinds.values()) == {
        "order.paid",
        *(f"contact.{action}" for action in ("sent", "opened", "opted_out", "opted_in")),
    }


def settings_of(code: str, tmp_path: Path) -> LiveConfig:
    for name in ("kafka", "model.key"):
        (tmp_path / name).write_text("k" * 40, encoding="utf-8")
    file = tmp_path / "shop.toml"
    file.write_text(code.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    return load_config(file)


@pytest.mark.parametrize("lang", BOTH)
def test_the_settings_of_an_own_kafka_can_be_used(lang: str, tmp_path: Path) -> None:
    (code,) = blocks(HOW_TO / f"own-kafka{lang}.md", "toml")
    config = settings_of(code, tmp_path)
    assert (config.kafka.partitions, config.kafka.security.username, config.shop.capacity) == (8, "churn", 30)


@pytest.mark.parametrize("lang", BOTH)
def test_a_second_installation_shares_nothing_but_the_events(lang: str, tmp_path: Path) -> None:
    (code,) = blocks(HOW_TO / f"change-churn-definition{lang}.md", "toml")
    config, default = settings_of(code, tmp_path), LiveConfig()
    shared = {
        role
        for role in type(default.kafka.topics).model_fields
        if getattr(config.kafka.topics, role) == getattr(default.kafka.topics, role)
    }
    assert shared == set(SHOP_TOPICS)
    assert config.redis.prefix != default.redis.prefix
    assert config.kafka.group != default.kafka.group


@pytest.mark.parametrize("lang", BOTH)
def test_the_channels_of_the_guide_can_be_used(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    for name in ("DINGTALK_SECRET", "CRM_SECRET"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("DINGTALK_URL", "https://oapi.dingtalk.com/robot/send?access_token=1")
    monkeypatch.setenv("MAIL_URL", "mailtos://user:password@example.com?to=team@example.com")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webhook.key").write_text(secret, encoding="utf-8")
    found = blocks(HOW_TO / f"chat-channels{lang}.md", "yaml")
    assert len(found) == 4
    for code in found:
        (tmp_path / "channels.yaml").write_text(code, encoding="utf-8")
        assert read_channels(tmp_path / "channels.yaml").file.channels


def command_names() -> dict[str, set[str]]:
    group: Any = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", {})) for name, command in group.commands.items()}


@pytest.mark.parametrize("lang", BOTH)
def test_the_models_of_a_shop_can_be_used(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = HOW_TO / f"bring-your-own-model{lang}.md"
    (code,), (program,) = blocks(page, "toml"), blocks(page, "python")
    (tmp_path / "our_shop").mkdir()
    (tmp_path / "our_shop" / "models.py").write_text(program, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("our_shop", "our_shop.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    config = settings_of(code, tmp_path)
    experts = config.settings().experts
    assert [one.name for one in experts] == [*BUILT_IN, "forest", "regression", "ours"]
    assert list(check_experts(experts, time.perf_counter)) == ["forest", "regression", "ours"]
    assert read_settings(tmp_path / "shop.toml", {}).experts == experts
    told = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(told) == ExpertSpec.__struct_fields__


@pytest.mark.parametrize("page", [page for page in GUIDES if page.name not in OF_EARLIER_RELEASES], ids=by_path)
def test_every_command_of_a_page_exists(page: Path) -> None:
    known = command_names()
    wrong = []
    for name, rest in re.findall(r"stream-app ([a-z]+)(?: ([a-z|]+))?", page.read_text(encoding="utf-8")):
        below = known.get(name)
        if below is None or (below and rest and not set(rest.split("|")) <= below):
            wrong.append(f"stream-app {name} {rest}".strip())
    assert wrong == []


@pytest.mark.parametrize("page", [page for page in GUIDES if page.name not in OF_EARLIER_RELEASES], ids=by_path)
def test_every_metric_and_setting_of_a_page_exists(page: Path) -> None:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - for this test alone

    metrics = {one.name for kinds in SERVICES.values() for kind in kinds for one in kind(CollectorRegistry()).described}
    settings = {row.name for row in rows()}
    sections = {name.rpartition(".")[0] for name in settings}
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`(churn_[a-z_]+)`", text)) - {"churn_build_info"}
    assert sorted(named - metrics) == []
    given = {name for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", text) if name.rpartition(".")[0] in sections}
    topics = set(LiveConfig().kafka.topics.model_dump().values())
    files = {name for name in given if name.endswith((".py", ".toml", ".key", ".md"))}
    assert sorted(given - settings - sections - topics - files) == []
