"""Settings of the service: where they come from, what is refused and in which words, and that secrets stay secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream_app.config import (
    FOREVER,
    INPUTS,
    OUTPUTS,
    Shop,
    Topics,
    client_options,
    confluent_options,
    load_config,
)
from stream_app.config.listing import rows
from stream_app.config.live import LiveConfig
from stream_app.core.expert_spec import BUILT_IN, ExpertSpec
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.policy import Contacts, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import BadConfig

PASSWORD = "hunter2-very-secret"
SASL = {
    "STREAM_APP_KAFKA__SECURITY__PROTOCOL": "SASL_SSL",
    "STREAM_APP_KAFKA__SECURITY__SASL_MECHANISM": "PLAIN",
    "STREAM_APP_KAFKA__SECURITY__USERNAME": "churn",
    "STREAM_APP_KAFKA__SECURITY__PASSWORD": PASSWORD,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "churn.toml"
    path.write_text('[kafka]\npartitions = 2\ngroup = "file"\nclient_id = "file"\n', encoding="utf-8")
    return path


def refused(environ: dict[str, str] | None = None, **given: Any) -> str:
    with pytest.raises(BadConfig) as error:
        load_config(environ=environ or {}, **given)
    assert error.value.exit_code == 2
    return str(error.value)


def test_flags_go_before_the_environment_before_the_file_before_the_default(file: Path) -> None:
    environ = {"STREAM_APP_KAFKA__GROUP": "environment", "STREAM_APP_KAFKA__PARTITIONS": "3"}
    flags = {"kafka.partitions": 5, "kafka.bootstrap": None}
    kafka = load_config(file, flags, environ).kafka
    assert (kafka.partitions, kafka.group, kafka.client_id) == (5, "environment", "file")
    assert (kafka.replication, kafka.bootstrap) == (1, "127.0.0.1:9092")


def test_the_file_may_be_named_in_the_environment_and_a_flag_names_another(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[kafka]\npartitions = 7\n", encoding="utf-8")
    environ = {"STREAM_APP_CONFIG": str(file)}
    assert load_config(environ=environ).kafka.partitions == 2
    assert load_config(other, environ=environ).kafka.partitions == 7


def test_an_empty_variable_is_as_good_as_none_and_others_are_not_ours() -> None:
    environ = {"STREAM_APP_KAFKA__PARTITIONS": "", "STREAM_APPLE": "x", "KAFKA__PARTITIONS": "9"}
    assert load_config(environ=environ) == load_config(environ={})


def test_the_shop_is_the_cores() -> None:
    assert load_config(environ={}).shop.settings() == Settings()
    assert set(Shop.model_fields) == set(Settings.__struct_fields__) - {"experts"}
    assert load_config(environ={}).settings() == Settings()


def test_every_setting_of_the_shop_reaches_the_core(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(
        '[model]\nexperts = ["linear", {name = "tree", share = 0.2}]\n'
        '[shop]\nhorizon = "30d"\nactive_window = 90\ndecide_every = "36h"\nlateness = 0.5\nlost_after = "4w"\n'
        'order_action = "placed"\nexcluded = ["a", "b"]\nzone = "Asia/Shanghai"\nworking_days = [0, 6]\n'
        'nomination_hour = 10\ncapacity = 3\nalert_lifetime = "5d"\nagreement = "0"\nalert_above = 0.25\n'
        'rank_by = "reach"\nmargin = 0.4\nact_before = "10d"\nfallen_odds = 0.75\nseed = 7\n'
        "learn_causes = false\nblind_share = 0.25\n"
        'answer_within = "12h"\nsolve_within = 2\n'
        f'policy = "{tmp_path}/policy.yaml"\n'
        "one_time_priors = { price = 1.0 }\nrepeat_priors = { forgot_shop = 0.5, natural = 0.5 }\n"
        '[[shop.campaigns]]\nname = "双11"\nfirst_day = 2025-11-01\nlast_day = 2025-11-11\nlull_days = 3\n'
        '[shop.holdout]\nshare = 0.2\nexperiment = "spring"\nwindow = "20d"\nplanned = 900\nends = true\n'
        "exempt_worth_above = 99.5\nlater_share = 0.1\n",
        encoding="utf-8",
    )
    (tmp_path / "policy.yaml").write_text("contacts: {per_week: 2}\n", encoding="utf-8")
    wanted = Settings(
        policy=Policy(contacts=Contacts(per_week=2)),
        horizon=30 * DAY_US,
        active_window=90 * DAY_US,
        decide_every=DAY_US * 3 // 2,
        lateness=DAY_US // 2,
        lost_after=28 * DAY_US,
        order_action="placed",
        excluded=frozenset({"a", "b"}),
        zone="Asia/Shanghai",
        working_days=(0, 6),
        nomination_hour=10,
        capacity=3,
        alert_lifetime=5 * DAY_US,
        agreement=0,
        alert_above=0.25,
        rank_by="reach",
        margin=0.4,
        act_before=10 * DAY_US,
        fallen_odds=0.75,
        answer_within=DAY_US // 2,
        solve_within=2 * DAY_US,
        one_time_priors={"price": 1.0},
        repeat_priors={"forgot_shop": 0.5, "natural": 0.5},
        learn_causes=False,
        blind_share=0.25,
        seed=7,
        experts=(BUILT_IN["linear"], msgspec.structs.replace(BUILT_IN["tree"], share=0.2)),
        holdout=Holdout(0.2, "spring", 20 * DAY_US, 900, ends=True, exempt_worth_above=99.5, later_share=0.1),
        campaigns=(
            msgspec.convert(
                {"name": "双11", "first_day": "2025-11-01", "last_day": "2025-11-11", "lull_days": 3}, Campaign
            ),
        ),
    )
    assert load_config(path, environ={}).settings() == wanted
    assert all(getattr(wanted, name) != getattr(Settings(), name) for name in Settings.__struct_fields__)


FOREST = {"name": "forest", "model": "river.forest.ARFClassifier", "arguments": {"n_models": 10, "seed": 1}}


def test_experts_are_names_and_tables_for_river_models() -> None:
    def of(text: str) -> tuple[ExpertSpec, ...]:
        return load_config(environ={"STREAM_APP_MODEL__EXPERTS": text}).settings().experts

    assert of("linear, prior") == (BUILT_IN["linear"], BUILT_IN["prior"])
    own = {"name": "own", "model": "our_shop.models.make", "features": ["recency"], "scored": "events", "share": 0.3}
    found = of(json.dumps(["cells", FOREST, own | {"compared": True}]))
    assert found == (
        BUILT_IN["cells"],
        ExpertSpec("forest", "river.forest.ARFClassifier", {"n_models": 10, "seed": 1}),
        ExpertSpec("own", "our_shop.models.make", {}, ("recency",), "events", 0.3, compared=True),
    )
    assert found[1].scored == "decisions"


@pytest.mark.parametrize(
    ("experts", "problem"),
    [
        (["linear", "linear"], "'linear' twice"),
        (["tree"], "no expert with a share that scores events"),
        (["linear", "forest"], "'forest', which is no built-in expert"),
        (["linear", FOREST | {"name": "product"}], "the name 'product'"),
        (["linear", FOREST | {"name": "My Forest"}], "the name 'My Forest'"),
        (["linear", FOREST | {"model": "forest"}], "the model 'forest'"),
        (["linear", FOREST | {"scored": "never"}], "scored 'never'"),
        (["linear", FOREST | {"share": 0}], "a share of 0"),
        (["linear", FOREST | {"shares": 0.1}], "unknown field `shares`"),
        (["linear", {"name": "tree", "features": ["recency"]}], "sets features of 'tree'"),
        (["linear", *({**FOREST, "name": f"forest{n}"} for n in range(16))], "has 17 experts"),
    ],
)
def test_a_list_of_experts_that_is_of_no_use_is_refused(experts: list[Any], problem: str) -> None:
    told = refused({"STREAM_APP_MODEL__EXPERTS": json.dumps(experts)})
    assert "STREAM_APP_MODEL__EXPERTS (environment)" in told
    assert problem in told


def test_lists_and_tables_in_the_environment() -> None:
    environ = {
        "STREAM_APP_SHOP__WORKING_DAYS": "0, 2",
        "STREAM_APP_SHOP__EXCLUDED": "a,b",
        "STREAM_APP_SHOP__CAMPAIGNS": '[{"name": "x", "first_day": "2025-01-01", "last_day": "2025-01-02"}]',
        "STREAM_APP_KAFKA__RETENTION_INPUTS": "forever",
    }
    config = load_config(environ=environ)
    settings = config.shop.settings()
    assert (settings.working_days, settings.excluded) == ((0, 2), frozenset("ab"))
    assert [campaign.lull_days for campaign in settings.campaigns] == [7]
    assert config.kafka.retention_of("orders") == FOREVER
    assert config.kafka.retention_of("scores") == 30 * DAY_US


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"KAFKA__BOTSTRAP": "x:1"}, ["unknown", "Did you mean STREAM_APP_KAFKA__BOOTSTRAP?"]),
        (
            {"_KAFKA__BOOTSTRAP": "x:1"},
            ["unknown", "Did you mean STREAM_APP_KAFKA__BOOTSTRAP?"],
        ),
        ({"KAFKA_BOOTSTRAP": "x:1"}, ["unknown", "Did you mean STREAM_APP_KAFKA__BOOTSTRAP?"]),
        ({"KAFKAS": "x"}, ["unknown", "docs/reference/settings.md"]),
        ({"KAFKA": "x"}, ["section"]),
        ({"KAFKA__PARTITIONS": "0"}, ["'0'", "greater than or equal to 1", "Default: 4"]),
        ({"KAFKA__PARTITIONS": "many"}, ["'many'", "integer"]),
        ({"KAFKA__BOOTSTRAP": "http://kafka"}, ["host:port"]),
        ({"KAFKA__HEARTBEAT": "4s"}, ["session_timeout", "at most a third"]),
        ({"KAFKA__HEARTBEAT": "3"}, ["'3'", "10s"]),
        ({"KAFKA__RETENTION_INPUTS": "2h"}, ["less than a day", "forever"]),
        ({"KAFKA__TOPICS__CART": "shop.orders"}, ["'shop.orders'", "own name"]),
        ({"KAFKA__TOPICS__CART": "shop orders"}, ["'shop orders'"]),
        ({"KAFKA__SECURITY__KEY_FILE": "/no/such/key"}, ["no effect with PLAINTEXT", "SASL_SSL"]),
        ({"KAFKA__SECURITY__USERNAME": "u"}, ["no effect with PLAINTEXT"]),
        ({"SHOP__DECIDE_EVERY": "61d"}, ["longer than the horizon", "at least once per horizon"]),
        ({"SHOP__HORIZON": "2m"}, ["'2m'", "60d"]),
        ({"SHOP__ZONE": "Mars/Olympus"}, ["Asia/Shanghai"]),
        ({"SHOP__WORKING_DAYS": "0,x"}, ["'x'", "0 (Monday)"]),
        ({"SHOP__CAMPAIGNS": "[{"}, ["not JSON", "settings file"]),
        ({"REDIS__URL": "http://redis"}, ["redis://host:6379/0"]),
        ({"TICKS__CLOCK": "moon"}, ["'moon'", "'wall' or 'log'"]),
        ({"TICKS__LEASE_TTL": "15s"}, ["two ticks"]),
        ({"TRAINER__KEEP": "0"}, ["'0'"]),
        ({"HEALTH__PORT": "70000"}, ["'70000'"]),
        ({"LOG__LEVEL": "loud"}, ["'loud'"]),
        ({"WORKER__SKEW": "300d"}, ["active_window", "5m"]),
        ({"WORKER__INSTANCE": "a b"}, ["'a b'"]),
    ],
    ids=lambda value: "=".join(*value.items()) if isinstance(value, dict) else "x",
)
def test_what_cannot_be_is_refused_as_it_was_written(environ: dict[str, str], words: list[str]) -> None:
    (name,) = environ
    said = refused({f"STREAM_APP_{name}": environ[name]})
    assert said.startswith(f"Invalid setting STREAM_APP_{name} (environment): it ")
    assert [word for word in words if word not in said] == []


def test_what_contradicts_a_default_names_the_one_to_change() -> None:
    assert "shop.decide_every (STREAM_APP_SHOP__DECIDE_EVERY)" in refused({"STREAM_APP_SHOP__HORIZON": "5d"})


def test_a_setting_of_the_file_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "churn.toml"
    path.write_text("[kafka]\npartitons = 2\n[[shop.campaigns]]\nname = 'x'\n", encoding="utf-8")
    said = refused(path=path)
    assert f"kafka.partitons ({path})" in said
    assert "Did you mean kafka.partitions?" in said
    assert "(2 more invalid settings.)" in said  # the campaign lacks both of its days
    path.write_text("[[shop.campaigns]]\nname = 'x'\n", encoding="utf-8")
    assert f"shop.campaigns ({path})" in refused(path=path)


@pytest.mark.parametrize(
    ("text", "problem"), [(b"[kafka\n", "not TOML"), (b"\xff", "not TOML"), (None, "cannot be opened")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: bytes | None, problem: str) -> None:
    path = tmp_path / "churn.toml"
    if text is not None:
        path.write_bytes(text)
    said = refused({"STREAM_APP_CONFIG": str(path)})
    assert f"Invalid setting file {path}" in said
    assert problem in said


@pytest.mark.parametrize("missing", ["SASL_MECHANISM", "USERNAME", "PASSWORD"])
def test_a_login_is_complete(missing: str) -> None:
    environ = {name: value for name, value in SASL.items() if not name.endswith(f"__{missing}")}
    assert f"KAFKA__SECURITY__{missing}" in refused(environ)


# --- secrets -------------------------------------------------------------------------------------------------------


def shown(config: LiveConfig) -> str:
    return f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


def test_passwords_are_known_to_the_clients_and_never_shown(tmp_path: Path) -> None:
    config = load_config(environ=SASL | {"STREAM_APP_REDIS__URL": f"redis://user:{PASSWORD}%21@redis:7000/1"})
    assert PASSWORD not in shown(config)
    assert (config.redis.url, config.redis.secret()) == ("redis://user@redis:7000/1", PASSWORD + "!")
    assert confluent_options(config.kafka)["sasl.password"] == PASSWORD
    assert client_options(config.kafka)["sasl_plain_password"] == PASSWORD
    assert client_options(config.kafka)["ssl_context"].check_hostname


def test_a_password_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nignored\n", encoding="utf-8")
    environ = {name: value for name, value in SASL.items() if not name.endswith("PASSWORD")}
    environ |= {f"STREAM_APP_{part}__PASSWORD_FILE": str(path) for part in ("REDIS", "KAFKA__SECURITY")}
    config = load_config(environ=environ)
    assert config.redis.secret() == config.kafka.security.secret() == PASSWORD
    assert PASSWORD not in shown(config)
    path.write_text("\n", encoding="utf-8")
    assert "empty first line" in refused(environ)
    path.unlink()
    assert "cannot be read" in refused(environ)


@pytest.mark.parametrize("name", ["kafka.security.password", "redis.password", "redis.url"])
def test_a_password_that_others_can_read_is_refused(name: str, tmp_path: Path) -> None:
    value = f"redis://:{PASSWORD}@redis" if name == "redis.url" else PASSWORD
    path = tmp_path / "churn.toml"
    section, _, key = name.rpartition(".")
    path.write_text(f'[{section}]\n{key} = "{value}"\n', encoding="utf-8")
    for said in (refused(path=path), refused(flags={name: value})):
        assert "password_file" in said
        assert PASSWORD not in said


@pytest.mark.parametrize(
    "environ",
    [
        {"STREAM_APP_REDIS__URL": f"redis://:{PASSWORD}@redis:port"},
        {"STREAM_APP_REDIS__URL": f"ftp://:{PASSWORD}@redis"},
        {"STREAM_APP_REDIS__URL": f"redis://:{PASSWORD}@redis", "STREAM_APP_REDIS__PASSWORD": PASSWORD},
        {"STREAM_APP_REDIS__URL": f"redis://:{PASSWORD}@redis", "STREAM_APP_REDIS__PREFIX": " "},
        {"STREAM_APP_REDIS": f"redis://:{PASSWORD}@redis"},
        {"STREAM_APP_KAFKA__SECURITY__PASSWORD": PASSWORD},
        SASL | {"STREAM_APP_KAFKA__SECURITY__CA_FILE": "/no/such/file"},
    ],
    ids=["bad-port", "bad-scheme", "twice", "beside-another-error", "as-a-section", "without-use", "beside-a-bad-file"],
)
def test_no_error_shows_a_secret(environ: dict[str, str]) -> None:
    with pytest.raises(BadConfig) as error:
        load_config(environ=environ)
    assert PASSWORD not in str(error.value)
    assert PASSWORD not in repr(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


# --- what is told of them -------------------------------------------------------------------------------------------


def test_every_setting_has_words_in_both_languages_and_a_variable_that_works() -> None:
    listed = list(rows())
    assert len({row.variable for row in listed}) == len(listed) > 60
    assert [row.name for row in listed if not row.meaning.endswith(".") or not row.zh or not row.kind] == []
    # Each default, written as the page says, is the default again.
    own = {"worker.instance", "shop.campaigns", "shop.excluded"}
    environ = {row.variable: row.default for row in listed if row.default != "—" and row.name not in own}
    assert load_config(environ=environ) == load_config(environ={})


def test_the_roles_are_the_topics() -> None:
    assert set(INPUTS + OUTPUTS) == set(Topics.model_fields)


def test_the_command_says_it_in_one_paragraph_with_exit_status_two(tmp_path: Path) -> None:
    environ = os.environ | {"STREAM_APP_KAFKA__PARTITIONS": "none"}
    command = [str(Path(sys.executable).parent / "stream-app"), "topics", "check"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "STREAM_APP_KAFKA__PARTITIONS (environment)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_of_the_environment_replaces_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "churn.toml"
    path.write_text("[shop.one_time_priors]\nprice = 1.0\n", encoding="utf-8")
    environ = {"STREAM_APP_SHOP__ONE_TIME_PRIORS": '{"natural": 1.0}'}
    assert load_config(path, environ={}).shop.one_time_priors == {"price": 1.0}
    assert load_config(path, environ=environ).shop.one_time_priors == {"natural": 1.0}
    assert "is a section, not a value" in refused({"STREAM_APP_KAFKA": "x", "STREAM_APP_KAFKA__GROUP": "y"})


def test_a_wrong_holdout_is_named_with_its_section() -> None:
    environ = {"STREAM_APP_SHOP__RANK_BY": "worth", "STREAM_APP_SHOP__HOLDOUT__SHARE": "1.5"}
    assert "SHOP__HOLDOUT__SHARE (environment): it is not a share from 0.07 to less than 1" in refused(environ=environ)
