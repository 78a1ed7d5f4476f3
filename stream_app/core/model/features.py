"""The feature table: each feature with its unit and its description in both languages.

Features are stationary: rates, decayed counts and comparisons with the customer's own past. Totals since the start of
the log would drift over time, and models would learn the age of the log (docs/adr/0005-model.md). Shares are shrunk
towards 0 by two pseudo-observations.

docs/extending.md lists the other files to change when you add a feature.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.model.feature_type import (
    Feature,
    decayed_feature,
    open_complaint_age,
    rate_recency,
    trend,
)
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import HALF_LIVES, NEVER

LIMIT: Final = 60.0  # largest absolute value of a feature, so that all values fit in a float16
FEATURES: Final = (
    # the customer's own pace
    Feature(
        "recency",
        "log(1 + days)",
        "days since the last order",
        "距上次下单的天数",
        "order",
        lambda v: np.log1p(v.recency),
    ),
    Feature(
        "silence",
        "log(1 + days)",
        "days since the last event of any kind",
        "距最近一次任何行为的天数",
        "order",
        lambda v: np.log1p(v.silence),
    ),
    Feature(
        "recency_to_gap",
        "log(1 + ratio)",
        "days since the last order, relative to the customer's usual gap between orders",
        "沉默时间与其平常下单间隔之比",
        "order",
        lambda v: np.log1p(v.recency / np.maximum(np.where(v.repeats > 0, v.mean_gap, v.horizon / 2), 0.5)),
    ),
    Feature(
        "expected_orders",
        "orders",
        "expected number of orders since the last one, at the customer's own order rate",
        "按其自身频率，自上次下单以来本应产生的订单数",
        "order",
        rate_recency,
    ),
    Feature(
        "expected_orders_squared",
        "orders²",
        "square of `expected_orders`, which emphasises customers who are long overdue",
        "同上的平方：严重逾期",
        "order",
        lambda v: np.minimum(rate_recency(v), 7.0) ** 2,
    ),
    Feature(
        "expected_repeats",
        "log(1 + orders)",
        "expected number of orders since the last one, at the rate between the first and the last order",
        "同上，按首末两单之间的频率计算",
        "order",
        lambda v: np.log1p(v.recency * (v.repeats + 1.0) / (v.span + v.horizon)),
    ),
    Feature(
        "mean_gap",
        "log(1 + days)",
        "usual gap between order days",
        "平常的下单间隔",
        "order",
        lambda v: np.log1p(v.mean_gap),
    ),
    Feature(
        "gap_deviation",
        "log(1 + days)",
        "standard deviation of the gaps between order days",
        "下单间隔的波动",
        "order",
        lambda v: np.log1p(v.gap_deviation),
    ),
    Feature(
        "last_gap",
        "log(1 + days)",
        "most recent gap between order days",
        "最近一次下单间隔",
        "order",
        lambda v: np.log1p(v.last_gap),
    ),
    Feature(
        "gap_trend",
        "log ratio",
        "most recent gap, relative to the usual gap; positive if the gaps are growing",
        "最近间隔与平常之比：间隔是否在变长",
        "order",
        lambda v: np.log1p(v.last_gap) - v.log_gap,
    ),
    Feature(
        "gap_score",
        "standard deviations",
        "how far the current silence exceeds the customer's usual gaps",
        "目前的沉默对该客户有多不寻常",
        "order",
        lambda v: np.clip((np.log1p(v.recency) - v.log_gap) / v.log_gap_deviation, -8.0, 8.0),
    ),
    Feature(
        "longer_gaps",
        "share",
        "share of the recent gaps that were longer than the current silence",
        "近期间隔中比目前沉默更长的比例",
        "order",
        lambda v: (v.longer_gaps + 0.5) / (np.minimum(v.repeats, 7.0) + 1.0),
    ),
    Feature(
        "gaps_ending",
        "share",
        "share of these longer gaps that ended within the horizon",
        "其中在预测窗口内结束的比例",
        "order",
        lambda v: (v.gaps_ending_within_horizon + 0.3) / (v.longer_gaps + 0.6 + (v.repeats == 0)),
    ),
    Feature(
        "one_time",
        "0 or 1",
        "1 if the customer has ordered on one day only",
        "只在一天下过单",
        "order",
        lambda v: (v.order_days <= 1).astype(np.float64),
    ),
    Feature(
        "second_order",
        "0 or 1",
        "1 if the customer has ordered on exactly two days",
        "在两天下过单",
        "order",
        lambda v: (v.order_days == 2).astype(np.float64),
    ),
    # money
    Feature(
        "mean_amount",
        "log(1 + money)",
        "mean order amount",
        "平均订单金额",
        "order.amount",
        lambda v: np.log1p(np.maximum(v["money"], 0.0) / np.maximum(v["orders"], 1.0)),
    ),
    Feature(
        "last_amount",
        "log(1 + money)",
        "amount of the last order",
        "最近一单金额",
        "order.amount",
        lambda v: np.log1p(np.maximum(v["last_amount"], 0.0)),
    ),
    Feature(
        "discount_share",
        "share",
        "share of orders with a discount",
        "使用优惠的订单占比",
        "order.discount",
        lambda v: v["discounted"] / (v["orders"] + 2.0),
    ),
    Feature(
        "return_share",
        "share",
        "share of orders that were returned, refunded or cancelled",
        "退货、退款或取消占比",
        "order.action",
        lambda v: v["returns"] / (v["orders"] + 2.0),
    ),
    Feature(
        "late_share",
        "share",
        "share of orders delivered after the promised time",
        "晚于承诺时间送达的占比",
        "order.promised_at",
        lambda v: v["late_deliveries"] / (v["orders"] + 2.0),
    ),
    # recent events
    *(
        decayed_feature(kind, half_life)
        for kind, half_lives in {
            "order": HALF_LIVES[:4],
            "browsing": HALF_LIVES[:4],
            "cart": HALF_LIVES[:4],
            "complaint": HALF_LIVES[1:4],
        }.items()
        for half_life in half_lives
    ),
    Feature(
        "order_trend",
        "log ratio",
        "orders in the last month, relative to the last quarter",
        "近一月与近一季订单之比",
        "order",
        trend("order", 30.0, 90.0, 0.2),
    ),
    Feature(
        "browsing_trend_week",
        "log ratio",
        "page views in the last week, relative to the last month",
        "近一周与近一月浏览之比",
        "browsing",
        trend("browsing", 7.0, 30.0, 0.5),
    ),
    Feature(
        "browsing_trend_month",
        "log ratio",
        "page views in the last month, relative to the last quarter",
        "近一月与近一季浏览之比",
        "browsing",
        trend("browsing", 30.0, 90.0, 0.5),
    ),
    Feature(
        "browsing_recency",
        "log(1 + days)",
        "days since the last page view",
        "距最近一次浏览的天数",
        "browsing",
        lambda v: np.log1p(v.days_since("last_browsing")),
    ),
    Feature(
        "cart_recency",
        "log(1 + days)",
        "days since the last cart or favourite action",
        "距最近一次加购或收藏的天数",
        "cart",
        lambda v: np.log1p(v.days_since("last_cart")),
    ),
    Feature(
        "complaint_recency",
        "log(1 + days)",
        "days since the last complaint",
        "距最近一次投诉的天数",
        "complaint",
        lambda v: np.log1p(v.days_since("last_complaint")),
    ),
    Feature(
        "open_complaint_age",
        "log(1 + days)",
        "age of the oldest open complaint",
        "投诉未解决的天数",
        "complaint.action",
        open_complaint_age,
    ),
    Feature(
        "open_complaints",
        "count",
        "number of open complaints",
        "未解决的投诉数",
        "complaint.action",
        lambda v: (v.complaint_opened > NEVER).sum(axis=1).astype(np.float64),
    ),
    Feature(
        "checkout_loss",
        "share",
        "share of checkouts that were abandoned or failed at payment",
        "结算放弃或支付失败的占比",
        "cart.action",
        lambda v: (v["abandoned"] + v["payment_failures"]) / (v["checkouts"] + 2.0),
    ),
    # totals, which the linear expert does not use
    Feature(
        "age",
        "log(1 + horizons)",
        "time since the first order, in horizons",
        "距首单的时间（以预测窗口计）",
        "order",
        lambda v: np.log1p(v.age / v.horizon),
        linear=False,
    ),
    Feature(
        "order_days",
        "log(1 + days)",
        "number of distinct days with an order",
        "有订单的天数",
        "order",
        lambda v: np.log1p(v.order_days),
        linear=False,
    ),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
PLACE: Final = {name: place for place, name in enumerate(NAMES)}
LINEAR: Final = tuple(place for place, feature in enumerate(FEATURES) if feature.linear)


def features(view: StateFrame) -> npt.NDArray[np.float16]:
    """Return the features of n customers, shape (n, len(FEATURES)).

    The values are float16, as stored until the label is known, so that models are trained on the values they scored.
    """
    table = np.empty((len(view.now), len(FEATURES)))
    for place, feature in enumerate(FEATURES):
        table[:, place] = feature.value(view)
    return np.clip(table, -LIMIT, LIMIT).astype(np.float16)
