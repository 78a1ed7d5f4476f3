"""The playbook: complete as it is shipped, and every mistake in a shop's own told with line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.core.segments.segments import SEGMENTS
from stream_app.errors import BadPlaybook
from stream_app.notifications.playbook.measures import CAUSES, DEFAULT, Channel, Kind, Limits
from stream_app.notifications.playbook.playbook import load_playbook

CHINESE = range(0x4E00, 0xA000)


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("segment", [DEFAULT, *SEGMENTS])
def test_every_cause_and_segment_has_a_measure_in_both_languages(cause: str, segment: str) -> None:
    measure = load_playbook().measure(cause, segment)
    assert measure.steps
    assert measure.channels
    assert measure.never
    for text in (*measure.steps, *measure.never):
        assert text.en.isascii(), text.en
        assert any(ord(sign) in CHINESE for sign in text.zh), text.zh


def test_every_segment_has_measures_of_its_own_somewhere_but_for_those_that_are_growing() -> None:
    playbook = load_playbook()
    overridden = {segment for cause in CAUSES for segment in playbook.overridden(cause)}
    assert set(SEGMENTS) - overridden == {"growing"}  # who orders more often needs nothing special


def test_too_many_messages_are_never_answered_with_another_one() -> None:
    playbook = load_playbook()
    for segment in (DEFAULT, *SEGMENTS):
        measure = playbook.measure("ad_harassment", segment)
        assert measure.kind in (Kind.REST, Kind.SERVICE)
        assert not {Channel.SMS, Channel.EMAIL, Channel.APP} & set(measure.channels)
        assert "promotion" in measure.never[0].en


@pytest.mark.parametrize(
    ("worth", "cause", "urgent", "channel"),
    [
        (199.0, "habit_change", False, Channel.CHAT),
        (200.0, "habit_change", False, Channel.PHONE),
        (1.0, "habit_change", True, Channel.PHONE),
        (1.0, "product_quality", False, Channel.PHONE),  # a service call is no matter of worth
        (1.0, "natural", False, Channel.NONE),
    ],
)
def test_only_who_is_worth_it_is_called_unless_something_must_be_put_right(
    worth: float, cause: str, urgent: bool, channel: Channel
) -> None:
    playbook = load_playbook()
    assert playbook.channel(playbook.measure(cause, "vip"), worth, urgent=urgent) is channel


def test_a_shops_own_entry_stands_before_all_shipped_ones_of_its_cause_field_by_field(tmp_path: Path) -> None:
    text = """
limits: {phone_from: 5}
causes:
  price:
    default: {steps: [{en: Ours, zh: 我们的}]}
    vip: {channels: [email]}
"""
    shipped, mixed = load_playbook(), load_playbook(own(tmp_path, text))
    assert [step.en for step in mixed.measure("price", "vip").steps] == ["Ours"]
    assert mixed.measure("price", "vip").channels == (Channel.EMAIL,)
    assert mixed.measure("price", "one_time").steps[0].zh == "我们的"
    assert mixed.measure("price").never == shipped.measure("price").never
    assert mixed.measure("logistics", "vip") == shipped.measure("logistics", "vip")
    assert mixed.limits == Limits(phone_from=5.0)
    assert mixed.never == shipped.never


@pytest.mark.parametrize("cause", ["logistics", "product_quality", "unresolved_complaint", "poor_experience"])
def test_a_vip_who_complains_gets_the_steps_for_vips(cause: str) -> None:
    playbook = load_playbook()
    assert playbook.measure(cause, "complaining", "vip", "loyal") == playbook.measure(cause, "vip")
    assert playbook.measure(cause, "complaining", "vip") != playbook.measure(cause, "complaining")


def test_what_a_complaint_asks_for_comes_first_and_hides_nothing(tmp_path: Path) -> None:
    text = """
causes:
  service:
    vip: {kind: care, steps: [{en: V, zh: V}], never: [{en: no V, zh: 不 V}], channels: [email]}
    declining: {steps: [{en: D, zh: D}]}
  price:
    complaining: {kind: service, steps: [{en: C, zh: C}]}
"""
    shipped, mixed = load_playbook(), load_playbook(own(tmp_path, text))
    complaint = [step.en for step in shipped.measure("service", "complaining").steps]
    for segment, own_steps in (("vip", ["V"]), ("declining", ["D"]), ("loyal", [])):
        both = mixed.measure("service", "complaining", segment)
        assert [step.en for step in both.steps] == [*complaint, *own_steps]
    both = mixed.measure("service", "complaining", "vip", "declining")
    assert [step.en for step in both.steps] == [*complaint, "V"]  # the first of the others that has an entry
    assert ([one.zh for one in both.never], both.channels) == (["不 V"], (Channel.EMAIL,))
    for segment in ("vip", "price_sensitive", "one_time"):
        both = mixed.measure("price", "complaining", segment)
        assert [step.en for step in both.steps] == ["C", *(step.en for step in shipped.measure("price", segment).steps)]
        assert both.kind is Kind.SERVICE
    assert [step.en for step in mixed.measure("price", "complaining", "loyal").steps] == ["C"]


def test_of_several_segments_the_first_with_an_entry_counts() -> None:
    playbook = load_playbook()
    assert playbook.measure("too_many_choices", "price_sensitive", "loyal") == playbook.measure(
        "too_many_choices", "loyal"
    )
    assert playbook.measure("price", "vip", "price_sensitive", "loyal") == playbook.measure("price", "vip")


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        ("", 1, "the file", "is empty. Start with `causes:`"),
        ("causes:\n  price: [", 2, "the file", "is not YAML"),
        ("- a\n", 1, "the file", "is not a mapping"),
        ("reasons: {}\n", 1, "reasons", "is unknown. Use one of: limits, never, causes"),
        ("causes:\n  prise:\n    default: {}\n", 2, "causes.prise", "is not a cause. Use one of"),
        ("causes:\n  price:\n    rich: {}\n", 3, "causes.price.rich", "is not a segment. Use one of"),
        (
            "causes:\n  price:\n    vip:\n      step: []\n",
            4,
            "causes.price.vip.step",
            "unknown. Did you mean steps?",
        ),
        (
            "causes:\n  price:\n    vip:\n      steps: []\n",
            4,
            "causes.price.vip.steps",
            "few entries. The minimum is 1",
        ),
        ("causes:\n  price:\n    vip:\n      steps: [{en: Call}]\n", 4, "causes.price.vip.steps[0].zh", "is missing"),
        (
            "causes:\n  price:\n    vip:\n      steps:\n        - {en: Call, zh: ''}\n",
            5,
            "causes.price.vip.steps[0].zh",
            "is empty",
        ),
        ("causes:\n  price:\n    vip:\n      steps: [{en: 12, zh: 致电}]\n", 4, "steps[0].en", "Put it in quotes"),
        (
            "causes:\n  price:\n    vip:\n      channels: [fax]\n",
            4,
            "vip.channels[0]",
            "is 'fax'. Use 'phone', 'chat'",
        ),
        ("causes:\n  price:\n    vip: {}\n    vip: {}\n", 4, "causes.price.vip", "is given twice"),
        ("limits:\n  contacts_a_week: 2\n", 2, "limits.contacts_a_week", "Set contacts.per_week in the policy file"),
        ("limits:\n  phone_from: true\n", 2, "limits.phone_from", "is not a plain number. Write it in decimal digits"),
        ("limits:\n  phone_from: .nan\n", 2, "limits.phone_from", "is not a plain number. Write it in decimal digits"),
        ("limits:\n  phone_from: -.inf\n", 2, "limits.phone_from", "is not a plain number. Write it in decimal"),
        ("limits:\n  phone_from: 2.0e+9\n", 2, "limits.phone_from", "The maximum is 1,000,000,000."),
        (f"never: [{{en: {'a' * 201}, zh: 好}}]\n", 1, "never[0].en", "has 201 characters. The maximum is 200."),
        ("limits: 7\n", 1, "limits", "is not a mapping"),
        ("never: {en: a, zh: b}\n", 1, "never", "is not a list. Write one item per line"),
        (
            "causes:\n  ad_harassment:\n    vip:\n      kind: promotion\n",
            4,
            "causes.ad_harassment.vip.kind",
            "is promotion, which is not allowed",
        ),
        (
            "causes:\n  ad_harassment:\n    vip:\n      kind: care\n",
            4,
            "ad_harassment.vip.kind",
            "further contact is not",
        ),
        ("causes: !!python/object/apply:os.system [id]\n", 1, "causes", "is not a mapping"),
    ],
)
def test_whatever_is_wrong_is_told_with_line_field_and_remedy(
    tmp_path: Path, text: str, line: int, field: str, says: str
) -> None:
    with pytest.raises(BadPlaybook) as caught:
        load_playbook(own(tmp_path, text))
    assert caught.value.facts["line"] == line
    assert field in str(caught.value.facts["field"])
    assert says in str(caught.value)
    assert caught.value.facts["remedy"]


def test_a_file_that_cannot_be_read_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(BadPlaybook, match="cannot be opened"):
        load_playbook(tmp_path / "nowhere.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"causes: \xff")
    with pytest.raises(BadPlaybook, match="not UTF-8"):
        load_playbook(tmp_path / "odd.yaml")
    with pytest.raises(BadPlaybook, match="too large"):
        load_playbook(own(tmp_path, "#" * 1_000_001))
