"""Messages to the staff: complete where there is place, within their size always, and harmless whatever an id says."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.units import EPOCH
from stream_app.errors import BadTemplate
from stream_app.i18n import Translator
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.messages.masking import harmless, mask
from stream_app.notifications.playbook.measures import CAUSES
from stream_app.notifications.playbook.playbook import load_playbook

COMPOSER = PlaybookComposer(load_playbook(), zone="Asia/Shanghai", currency="CNY")
ALERT = AlertOpened(
    alert_id="al_3f2a91",
    customer_id="王小明13812345678",
    opened_at=EPOCH,
    expires_at=EPOCH + timedelta(days=14),
    rank=2,
    probability=0.874,
    monthly_worth=1320.4,
    silent_days=40.0,
    usual_gap_days=None,
    source="model",
    version=3,
    explanation=Explanation(
        "one_time",
        (Cause("forgot_shop", 0.61), Cause("price", 0.2)),
        (Evidence("silence_once", {"days": 40.0}), Evidence("no_favourite")),
    ),
)
MARKUP = set("@[](){}<>*_`#~|!\\&")


def changed(**fields: Any) -> AlertOpened:
    return msgspec.structs.replace(ALERT, **fields)


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", [
            "very high, 87%", "worth ¥1,320 per month", "one-time buyer", "forgot the shop, 61%",
            "one purchase, 40 days ago", "1. Ask how the customer likes the goods", "(by SMS)", "Never",
            "Start with a discount",
            "1970-01-15 08:00",
            "at most 1 care contact per week", "al_3f2a91",
        ]),
        ("zh", [
            "很高，87%", "月均消费 ¥1,320", "单次购买客户", "对店铺印象淡，61%", "只买过一次，距今 40 天",
            "1. 回访", "（短信）", "切勿", "一上来就打折", "1970-01-15 08:00", "每周最多 1 次", "al_3f2a91",
        ]),
    ],
)  # fmt: skip
def test_a_message_says_who_how_sure_what_it_is_worth_why_what_to_do_what_never_and_until_when(
    language: str, says: list[str]
) -> None:
    message = COMPOSER.alert(ALERT, language, 4_096)
    for text in (message.markdown, message.plain):
        assert [one for one in says if one not in text] == []
        assert "13812345678" not in text
        assert "小明" not in text
        assert "王" in text
    assert "**" in message.markdown
    assert "**" not in message.plain
    assert "王" in message.title


PLANNED = {"expected_value": 321.4, "next_order_from": EPOCH + timedelta(days=3, hours=20)}


@pytest.mark.parametrize(
    ("language", "says", "open_end"),
    [
        (
            "en",
            ["Expected to bring ¥321 within 60 days", "next order between 1970-01-05 and 1970-02-01 (80% sure)"],
            "next order not before 1970-01-05, if at all (80% sure)",
        ),
        (
            "zh",
            ["预计 60 天内消费 ¥321", "下一单预计在 1970-01-05 至 1970-02-01 之间（把握 80%）"],
            "下一单预计不早于 1970-01-05，也可能不再下单（把握 80%）",
        ),
    ],
)
def test_a_planned_call_says_what_the_customer_will_bring_and_when_they_order_next(
    language: str, says: list[str], open_end: str
) -> None:
    ends = changed(**PLANNED, next_order_to=EPOCH + timedelta(days=30, hours=20))
    assert [one for one in says if one not in COMPOSER.alert(ends, language, 4_096).plain] == []
    assert open_end in COMPOSER.alert(changed(**PLANNED), language, 4_096).plain
    assert not any(part in COMPOSER.alert(ALERT, language, 4_096).plain for part in (says[0], open_end, "80%"))


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize(
    ("language", "says"),
    [("en", "Contact hours: 09:00-12:00, 14:00-18:00"), ("zh", "联系时段：09:00-12:00、14:00-18:00")],
)
def test_the_contact_hours_are_in_every_message_if_the_policy_sets_them(language: str, says: str, urgent: bool) -> None:
    rules = ContactRules(("09:00-12:00", "14:00-18:00"), "Asia/Shanghai")
    alert = changed(contact_rules=rules, urgent=urgent)
    assert says in COMPOSER.alert(alert, language, 4_096).plain.splitlines()
    (digest, _), *_ = COMPOSER.digest([alert], language, 4_096)
    assert says in digest.plain.splitlines()
    assert says[:14] not in COMPOSER.alert(changed(urgent=urgent), language, 4_096).plain


STOPPED = {"en": "stopped by the contact policy", "zh": "已被触达策略停用"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("stop", ["forgot_shop", "forgot_shop.one_time"])
def test_a_stopped_measure_is_not_proposed(language: str, stop: str) -> None:
    playbook = load_playbook()
    harmful, other = (playbook.measure(cause, "one_time").steps[0].text(language) for cause in ("forgot_shop", "price"))
    next_cause = changed(contact_rules=ContactRules(stopped=(stop,)))
    none_left = changed(contact_rules=ContactRules(stopped=(stop, "price")))
    other_segment = changed(contact_rules=ContactRules(stopped=("forgot_shop.vip",)))

    def alone(alert: AlertOpened) -> str:
        return COMPOSER.alert(alert, language, 4_096).plain

    def in_digest(alert: AlertOpened) -> str:
        return COMPOSER.digest([alert], language, 4_096)[0][0].plain

    for text_of in (alone, in_digest):
        assert harmful in text_of(ALERT)
        assert harmful in text_of(other_segment)
        assert harmful not in text_of(next_cause)
        assert other in text_of(next_cause)
        assert STOPPED[language] not in text_of(next_cause)
        assert not [one for one in (harmful, other) if one in text_of(none_left)]
        assert STOPPED[language] in text_of(none_left)


def test_an_urgent_case_has_no_stopped_measure_either() -> None:
    urgent = changed(urgent=True, contact_rules=ContactRules(stopped=("unresolved_complaint",)))
    assert STOPPED["en"] in COMPOSER.alert(urgent, "en", 4_096).plain


@pytest.mark.parametrize(("language", "says"), [("en", "at most 3 care contacts"), ("zh", "每周最多 3 次")])
def test_the_weekly_limit_is_that_of_the_policy(language: str, says: str) -> None:
    assert says in COMPOSER.alert(changed(contact_rules=ContactRules(per_week=3)), language, 4_096).plain


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("segments", [(), *((one,) for one in SEGMENTS), ("complaining", "vip")], ids="+".join)
def test_a_full_message_of_every_cause_and_segment_has_place_in_the_smallest_robot(
    language: str, cause: str, segments: tuple[str, ...]
) -> None:
    segment, also = next(iter(segments), ""), segments[1:]
    explanation = msgspec.structs.replace(ALERT.explanation, segment=segment, also=also, causes=(Cause(cause, 0.9),))
    message = COMPOSER.alert(changed(explanation=explanation), language, 2_048)
    measure = load_playbook().measure(cause, *segments)
    for text in (*measure.steps, measure.never[0]):
        assert text.text(language) in message.markdown


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", ["complaining customer, VIP", "1. Have the team lead call within the hour", "2. Solve it first"]),
        ("zh", ["（投诉客户、VIP 客户）", "1. 主管一小时内致电并负责到底", "2. 先解决"]),
    ],
)
def test_the_urgent_alert_of_a_vip_who_complains_has_the_steps_for_vips(language: str, says: list[str]) -> None:
    explanation = msgspec.structs.replace(ALERT.explanation, segment="complaining", also=("vip", "declining"))
    message = COMPOSER.alert(changed(explanation=explanation, urgent=True), language, 4_096)
    assert [one for one in says if one not in message.plain] == []


@given(st.integers(60, 1_200), st.sampled_from(["en", "zh"]), st.text(max_size=80), st.floats(0, 1))
def test_no_message_is_larger_than_allowed_and_none_ends_within_a_character(
    max_bytes: int, language: str, customer: str, probability: float
) -> None:
    alert = changed(customer_id=customer, probability=probability)
    messages = [COMPOSER.alert(alert, language, max_bytes)]
    messages += [message for message, _ in COMPOSER.digest([alert] * 3, language, max_bytes)]
    for message in messages:
        for text in (message.title, message.markdown, message.plain):
            assert len(text.encode("utf-8")) <= max_bytes
            assert "�" not in text


@pytest.mark.parametrize(
    ("reason", "numbers", "repeated"),
    [
        ("low_review", {}, Evidence("low_rating", {"ratings": 1.0})),
        ("unanswered", {"hours": 24.0}, Evidence("slow_answer", {"hours": 24.0})),
        ("unsolved", {"hours": 72.0}, Evidence("open_complaint", {"open": 1.0, "days": 3.0})),
    ],
)
def test_an_urgent_alert_gives_its_reason_once(reason: str, numbers: dict[str, float], repeated: Evidence) -> None:
    other = Evidence("service_complaint", {"complaints": 1.0})
    because = (Evidence(reason, numbers), other, repeated)
    said = Translator("en").evidence(repeated.rule, repeated.numbers)
    for urgent in (True, False):
        alert = changed(urgent=urgent, explanation=Explanation("complaining", (Cause("service", 0.6),), because))
        text = COMPOSER.alert(alert, "en", 4_096).plain
        assert "1 complaint about the service" in text
        assert (said in text) is not urgent


def test_what_matters_least_goes_first() -> None:
    sizes = [COMPOSER.alert(ALERT, "en", max_bytes).plain for max_bytes in (4_096, 420, 330, 250)]
    for text in sizes:
        assert "very high, 87%" in text
        assert "forgot the shop" in text
        assert "1. Ask how the customer likes the goods" in text
        assert "al_3f2a91" in text
    kept = [[word in text for word in ("Contact a customer", "at most 1", "never favourited")] for text in sizes]
    assert kept[0] == [True, True, True]
    assert kept[-1] == [False, False, False]
    assert [sum(row) for row in kept] == sorted((sum(row) for row in kept), reverse=True)


@given(st.text(max_size=60) | st.sampled_from(["@all", "[x](http://evil.com)", "<at id=all>", "**b**\n# h", "<@u>"]))
def test_an_id_is_neither_markup_nor_a_mention_nor_a_phone_number(customer: str) -> None:
    shown = mask(customer)
    assert not MARKUP & set(shown)
    assert "://" not in shown
    assert not re.search(r"\d{7}", re.sub(r"[\s().+/-]", "", shown))
    assert not re.search(r"[^\W\d_]{2}", shown)
    assert "\n" not in shown
    shown.encode("utf-8")  # no lone surrogates


@pytest.mark.parametrize("spelt", ["138 1234 5678", "+86-138-1234-5678", "(0571) 8888 9999", "１３８１２３４５６７８"])
def test_a_phone_number_keeps_its_last_four_digits_however_it_is_spelt(spelt: str) -> None:
    assert len(re.sub(r"\D", "", mask(spelt))) == 4


def test_the_names_of_shops_are_harmless_too() -> None:
    text = COMPOSER.alert(changed(shop_id="@all www.evil.com", alert_id="<at id=all>"), "en", 4_096).markdown
    assert "@" not in text
    assert "evil.com" not in text
    assert "<" not in text
    assert harmless("a\u202eb\u200bc") == "abc"


def test_an_urgent_case_says_so_and_puts_the_complaint_first() -> None:
    urgent = changed(urgent=True, rank=0, probability=0.2)
    message = COMPOSER.alert(urgent, "en", 4_096)
    assert message.plain.startswith("URGENT: a complaint is past its service target")
    assert message.title.startswith("URGENT")
    assert "1. Answer today" in message.plain
    assert "(by phone)" in message.plain
    assert "Send any offer before it is solved" in message.plain
    assert COMPOSER.alert(urgent, "zh", 4_096).markdown.startswith("**【紧急】")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_urgent_case_of_somebody_without_a_score_says_nothing_of_a_risk(language: str) -> None:
    message = COMPOSER.alert(changed(urgent=True, probability=0.0, monthly_worth=0.1), language, 4_096)
    (digest, _), *_ = COMPOSER.digest([changed(urgent=True, probability=0.0, monthly_worth=0.1)], language, 4_096)
    for text in (message.title, message.plain.split("forgot")[0].split("对店铺")[0], digest.plain.split("\n")[2]):
        assert "%" not in text
        assert "¥" not in text


def test_who_may_be_annoyed_by_messages_is_offered_nothing_whatever_else_may_be_the_cause() -> None:
    causes = (Cause("price", 0.5), Cause("ad_harassment", 0.3))
    text = COMPOSER.alert(changed(explanation=Explanation("vip", causes)), "en", 500).plain
    assert "Answer with a promotion, a coupon or a survey" in text


def test_an_alert_without_an_explanation_or_with_one_of_a_later_version_is_told_all_the_same() -> None:
    bare = COMPOSER.alert(changed(explanation=Explanation(), usual_gap_days=16.0), "en", 4_096).plain
    assert "No order for 40 days: 2.5 × the usual gap" in bare
    assert "1. No clear cause" in bare
    later = Explanation("new_segment", (Cause("new_cause", 0.9), Cause("price", 0.1)), (Evidence("new_sign"),))
    text = COMPOSER.alert(changed(explanation=later), "en", 4_096).plain
    assert "new_" not in text
    assert "1. Announce the next sale early" in text


def test_invalid_keys_are_left_out() -> None:
    odd = Explanation("@all", (Cause("[x](http://a)", 0.9),), (Evidence("@all"), Evidence("fine", {"<at>": 1.0})))
    text = COMPOSER.alert(changed(explanation=odd), "en", 4_096).plain
    assert not set("@[<") & set(text)


def many(count: int) -> list[AlertOpened]:
    return [changed(alert_id=f"al_{rank:03}", rank=rank, urgent=rank % 10 == 0) for rank in range(1, count + 1)]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("count", "max_bytes"), [(1, 2_048), (3, 4_096), (30, 2_048), (30, 20_000)])
def test_a_digest_holds_every_alert_once_in_as_few_messages_as_needed(
    language: str, count: int, max_bytes: int
) -> None:
    alerts = many(count)
    messages = COMPOSER.digest(alerts, language, max_bytes)
    assert sorted(one for _, ids in messages for one in ids) == [alert.alert_id for alert in alerts]
    for number, (message, ids) in enumerate(messages, 1):
        for text in (message.markdown, message.plain):
            assert len(text.encode()) <= max_bytes
            assert [one for one in ids if one not in text] == []
        if len(messages) > 1:
            assert f"{number}/{len(messages)}" in message.title
    assert (len(messages) == 1) == (count < 30 or max_bytes == 20_000)


def test_urgent_ones_come_first_in_a_digest_and_are_marked() -> None:
    (message, ids), *_ = COMPOSER.digest(many(20), "en", 20_000)
    assert ids[:3] == ("al_010", "al_020", "al_001")
    assert message.plain.count("URGENT") == 2
    assert "2 urgent" in message.title
    assert COMPOSER.digest([], "en", 2_048) == []


def template(folder: Path, text: str, name: str = "en/alert.j2") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_template_of_the_shops_own_replaces_one_and_leaves_the_others(tmp_path: Path) -> None:
    composer = PlaybookComposer(load_playbook(), template(tmp_path, "Ring {{ alert.who }} at once"))
    assert composer.alert(ALERT, "en", 2_048).plain == "Ring 王••••5678 at once"
    assert composer.alert(ALERT, "zh", 2_048) == PlaybookComposer(load_playbook()).alert(ALERT, "zh", 2_048)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("one\n{% if %}", 2, "TemplateSyntaxError"),
        ("one\n\n{{ alert.phone }}", 3, "no attribute 'phone'"),
        ("{{ 1 / 0 }}", 1, "ZeroDivisionError"),
        ("{{ alert.steps.append(1) }}", 1, "only strong(text) can be called"),
        ("{{ strong.__globals__ }}", 1, "strong is a function"),
        ("{{ alert.__class__.__mro__ }}", 1, "SecurityError"),
        ("{% for one in range(1000000000) %}x{% endfor %}", 1, "a loop must be over alerts"),
    ],
)
def test_a_template_that_fails_or_reaches_for_more_is_refused_when_it_is_loaded(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    with pytest.raises(BadTemplate, match=re.escape(says)) as caught:
        PlaybookComposer(load_playbook(), template(tmp_path, text))
    assert caught.value.facts["line"] == line
    assert caught.value.facts["file"] == "en/alert.j2"


def test_a_folder_of_templates_that_is_not_there_is_told() -> None:
    with pytest.raises(BadTemplate, match="does not exist"):
        PlaybookComposer(load_playbook(), Path("/nowhere"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_words_name_every_cause_and_segment_of_the_playbook(language: str) -> None:
    composer = PlaybookComposer(load_playbook())
    for cause in CAUSES:
        explanation = Explanation("vip", (Cause(cause, 0.8),), (Evidence("silence", {"days": 41.0, "times": 2.31}),))
        text = composer.alert(changed(explanation=explanation), language, 4_096).plain
        assert cause not in text.replace(Translator("en").cause(cause), "")
        assert Translator(language).cause(cause) in text
        assert "2.3" in text
