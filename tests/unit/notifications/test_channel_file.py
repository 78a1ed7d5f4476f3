"""The file of channels: what it means, and how a mistake in it is told."""

from __future__ import annotations

import base64
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stream_app.core.delivery.retry import Limit
from stream_app.core.units import HOUR_US, MINUTE_US, SECOND_US
from stream_app.errors import BadChannels
from stream_app.notifications.channel_factory import make_channels, make_policy, make_route, silent_channels
from stream_app.notifications.channel_file import Channels, read_channels
from stream_app.notifications.channels.registry import KINDS

WHOLE = """\
mode: live
digest: {hour: 8, settle: 30s}
retry:
  schedule: [1s, 1m]
  give_up_after: 1d
channels:
  service-team:
    kind: dingtalk
    url: env:DING_URL
    secret: file:SECRET_FILE
    language: zh
    alerts: urgent
    quiet_hours: 22:00-08:00
  crm:
    kind: webhook
    url: https://crm.example/alerts
    secret: env:HOOK
    old_secrets: [env:HOOK_OLD]
    shops: [s1, s2]
    causes: [logistics]
    per_minute: 600
"""
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


def read(tmp_path: Path, text: str, **environ: str) -> Channels:
    (tmp_path / "secret").write_text("SEC-in-a-file\nmore\n")
    path = tmp_path / "channels.yaml"
    path.write_text(text.replace("SECRET_FILE", str(tmp_path / "secret")))
    return read_channels(path, {"DING_URL": "https://d.example/?access_token=t0ken", **environ})


def refused(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(BadChannels) as raised:
        read(tmp_path, text, **environ)
    assert raised.value.__cause__ is None or "t0ken" not in str(raised.value.__cause__)
    return str(raised.value).removeprefix(f"{tmp_path}/")


def test_a_whole_file(tmp_path: Path) -> None:
    channels = read(tmp_path, WHOLE, HOOK=SECRET, HOOK_OLD=SECRET)
    zone = ZoneInfo("Asia/Shanghai")
    policy = make_policy(channels.file, zone)
    assert (policy.live, policy.digest_hour, policy.settle, policy.zone) == (True, 8, 30 * SECOND_US, zone)
    assert (policy.retries.schedule, policy.retries.give_up_after) == ((SECOND_US, MINUTE_US), 24 * HOUR_US)
    team, crm = (make_route(name, one, zone) for name, one in channels.file.channels.items())
    assert (team.channel, team.alerts, team.language, team.each) == ("service-team", "urgent", "zh", False)
    assert team.quiet is not None
    assert team.limits == (Limit(20, MINUTE_US),)
    assert (crm.shops, crm.causes, crm.each) == (frozenset({"s1", "s2"}), frozenset({"logistics"}), True)
    assert crm.limits == (Limit(600, MINUTE_US),)
    assert channels.endpoints["service-team"].url.endswith("t0ken")
    assert channels.endpoints["service-team"].keys == ("SEC-in-a-file",)
    assert len(channels.endpoints["crm"].keys) == 2
    assert set(make_channels(channels)) == {"service-team", "crm"}


def test_channels_that_are_quiet_in_all_contact_hours_are_found(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE, HOOK=SECRET, HOOK_OLD=SECRET).file
    assert silent_channels(file, ["05:00-07:00", "23:00-23:30"]) == ["service-team"]
    assert not silent_channels(file, ["05:00-08:30"])
    assert not silent_channels(file, [])


def test_nothing_is_delivered_unless_it_says_so(tmp_path: Path) -> None:
    assert read(tmp_path, "").file.mode == "shadow"
    assert not make_policy(read(tmp_path, "channels: {}").file, ZoneInfo("UTC")).live
    assert read_channels(None).file.channels == {}


def test_secrets_are_not_shown_by_accident(tmp_path: Path) -> None:
    channels = read(tmp_path, WHOLE, HOOK=SECRET, HOOK_OLD=SECRET)
    assert "t0ken" not in repr(channels)
    assert SECRET not in repr(channels)
    assert "SEC-in-a-file" not in str(channels.endpoints)


CHANNEL = "channels:\n  team:\n    kind: dingtalk\n    url: env:DING_URL\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "mode: on\n",
            "channels.yaml, line 1: mode is True. Use 'shadow' or 'live'. See docs/reference",
        ),
        ("mod: live\n", "channels.yaml, line 1: mod is unknown. Did you mean mode? See docs/reference/delivery.md."),
        ("mode: live\n\nmode: shadow\n", "channels.yaml, line 3: mode is given twice. Keep one of them."),
        ("- a\n", "channels.yaml, line 1: the file is not a mapping. Write names"),
        ("digest:\n  settle: 60\n", "channels.yaml, line 2: digest.settle is 60, which has no unit. Use 250ms, 10s"),
        (
            "digest:\n  hour: 24\n",
            "line 2: digest.hour is 24, which is too large. The maximum is 23.",
        ),
        ("digest:\n  hour: nine\n", "line 2: digest.hour is not a whole number. Write it in decimal digits"),
        ("keep_at_most: 0\n", "line 1: keep_at_most is 0, which is too small. Use a number above 0."),
        ("channels: {team: {kind: x", "channels.yaml, line 1: the file is not YAML: "),
        (f"{CHANNEL}    langauge: zh\n", "line 5: channels.team.langauge is unknown. Did you mean language?"),
        (f"{CHANNEL}    quiet_hours: 22-8\n", "line 5: channels.team.quiet_hours is '22-8'. Write it as 22:00-08:00."),
        (
            f"{CHANNEL}    secret: t0ken\n",
            "line 5: channels.team.secret contains a secret that others can read. Put the secret into",
        ),
        (
            f"{CHANNEL}    secret: env:NOT_SET\n",
            "channels.team.secret names the environment variable NOT_SET, which is",
        ),
        (
            f"{CHANNEL}    secret: file:/nowhere\n",
            "channels.team.secret names the file /nowhere, which cannot be read.",
        ),
        (f"{CHANNEL}    old_secrets: [env:DING_URL]\n", "line 5: channels.team.old_secrets is not used by dingtalk."),
        (f"{CHANNEL}    old_secrets: [env:NO, 7]\n", "line 5: channels.team.old_secrets[1] is not a text."),
        (f"{CHANNEL}    allow_private: maybe\n", "line 5: channels.team.allow_private is not true or false. Use true"),
        (f"{CHANNEL}    timeout: 1h\n", "line 5: channels.team.timeout is out of range. Use 100ms to 1m"),
        (
            "channels:\n  team:\n    kind: dingtalk\n    url: https://d.example/?access_token=t0ken\n",
            "channels.yaml, line 4: channels.team.url is written in the file. It contains a secret",
        ),
        (
            "channels:\n  team:\n    kind: webhook\n    secret: env:DING_URL\n    url: https://d.example/?key=t0ken\n",
            "channels.yaml, line 5: channels.team.url may contain a secret, but is written in the file.",
        ),
        (
            "channels:\n  team:\n    kind: webhook\n    url: https://d.example\n",
            "line 2: channels.team.secret is missing",
        ),
        ("channels:\n  team:\n    kind: wecom\n", "channels.yaml, line 2: channels.team.url is missing."),
        ("channels:\n  The Team:\n    kind: wecom\n", "channels.yaml, line 2: channels.The Team is not a valid name"),
        (
            "channels:\n  team:\n    kind: apprise\n    url: env:DING_URL\n",
            "allow_private is false, but apprise opens its own connections",
        ),
        (
            "channels:\n" + "".join(f"  c{n}: {{kind: wecom, url: 'env:DING_URL'}}\n" for n in range(21)),
            "The maximum is 20",
        ),
    ],
)
def test_a_mistake_is_told_with_line_field_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    told = refused(tmp_path, text)
    assert said in told
    assert "t0ken" not in told


def test_a_webhook_secret_that_is_none_is_told_without_it(tmp_path: Path) -> None:
    channels = read(tmp_path, WHOLE, HOOK="t0ken", HOOK_OLD=SECRET)
    with pytest.raises(BadChannels, match=r"is not base64\. Use whsec_") as raised:
        make_channels(channels)
    assert "t0ken" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadChannels, match="cannot be opened: No such file"):
        read_channels(tmp_path / "none.yaml")


def test_every_kind_of_the_file_is_built() -> None:
    assert set(KINDS) == {"webhook", "dingtalk", "feishu", "wecom", "apprise"}
