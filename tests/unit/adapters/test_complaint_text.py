"""What the text of a complaint is about, in both languages."""

from __future__ import annotations

import pytest

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.core.state.complaint_kinds import OTHER
from stream_app.core.state.counters import COMPLAINED
from stream_app.simulate.vocabulary import PHRASES

# Not the simulator's phrases: what people write in shops.
TEXTS = {
    "quality": ("衣服洗了一次就掉色了", "鞋子开线，做工太粗糙", "The zip was broken", "Fake, not as described at all"),
    "logistics": ("包裹在路上丢失了", "物流一直不动，等了半个月", "My parcel never arrived", "Shipping was awful"),
    "service": ("客服敷衍我，态度恶劣", "问了三次都没人回", "Your staff is rude", "No reply from support for a week"),
    "refund": ("说退款两周了还没到账", "投诉了三次，问题未解决", "I want my money back", "Still no refund"),
    "promise": ("虚假宣传，骗人", "答应送的赠品没有", "You promised a gift", "False advertising"),
    "price": ("太贵了，别家便宜一半", "刚买完就降价", "Far too expensive", "I found it cheaper elsewhere"),
    "messages": ("天天发广告，烦死了", "怎么退订你们的推送", "Stop the spam", "Unsubscribe me from this newsletter"),
    "privacy": (
        "你们泄露了我的手机号",
        "我的卡被盗刷了",
        "Please delete my account data: my data was leaked",
        "Fraud!",
    ),
    "site": ("页面打不开，一直加载", "支付失败好几次", "The app crashes", "Cannot pay: the website is down"),
    "stock": ("想买的尺码断货了", "一直缺货，什么时候补货", "Sold out again", "It is out of stock"),
    OTHER: ("谢谢", "质量不错，快递很快", "It is fine, thanks", "Good quality and fast delivery", "👍", ""),
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in TEXTS.items() for text in texts])
def test_a_text_is_about_what_people_would_say(kind: str, text: str) -> None:
    assert complaint_reader()(text) == kind


def test_every_kind_can_be_read() -> None:
    assert set(TEXTS) == {*COMPLAINED, OTHER}


@pytest.mark.parametrize(("category", "phrases"), PHRASES.items())
def test_the_simulated_shop_is_understood(category: str, phrases: tuple[tuple[str, str], tuple[str, str]]) -> None:
    expected = {"description": "quality", "survey": OTHER}.get(category, category)
    assert {complaint_reader()(text) for pair in phrases for text in pair} == {expected}


def test_a_text_may_be_as_long_as_it_likes() -> None:
    assert complaint_reader()("快递太慢了" + "啊" * 1_000_000) == "logistics"
