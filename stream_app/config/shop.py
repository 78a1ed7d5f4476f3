"""The settings of the shop itself: those of core.settings.Settings, as people write them."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Any, Final, Self

import msgspec
from pydantic import model_validator

from stream_app.config.fields import ContradictionError, Listed, Section, ShopSpan, Tables, setting
from stream_app.core.settings import Settings
from stream_app.errors import ContradictorySettings

_DEFAULT: Final = Settings()


class Sale(Section):
    """A sale or a holiday of the shop's calendar."""

    name: str
    first_day: date
    last_day: date
    lull_days: int = 7


def _of_shop(name: str, meaning: str, zh: str) -> Any:
    """A setting with the core's own default."""
    return setting(getattr(_DEFAULT, name), meaning, zh)


class Shop(Section):
    """Horizons, what counts as an order, the shop's calendar and its staff."""

    horizon: ShopSpan = _of_shop("horizon", "Churned: no order within it.", "流失判定期")
    active_window: ShopSpan = _of_shop("active_window", "Who has ordered within it is decided on.", "活跃窗口")
    decide_every: ShopSpan = _of_shop("decide_every", "One decision a customer and period.", "决策周期")
    lateness: ShopSpan = _of_shop("lateness", "How late an event may come and still count in full.", "允许的迟到时间")
    lost_after: ShopSpan = _of_shop(
        "lost_after",
        "The shop's own rule: lost when without an order for so long; 0: active_window.",
        "店铺自己的流失规则",
    )
    order_action: str = _of_shop("order_action", "What counts as an order: placed or paid.", "以下单还是付款计为订单")
    excluded: Annotated[frozenset[str], Listed] = _of_shop(
        "excluded", "Ids of fake, staff and test buyers.", "排除的客户（刷单、员工、测试）"
    )
    campaigns: Annotated[tuple[Sale, ...], Tables] = setting(
        (), "Sales and holidays: name, first_day, last_day, lull_days.", "大促与节假日"
    )
    zone: str = _of_shop("zone", "The shop's time zone, like Asia/Shanghai.", "店铺时区")
    working_days: Annotated[tuple[int, ...], Listed] = _of_shop(
        "working_days", "Days on which the staff works, from 0 (Monday) to 6.", "工作日，0 为周一"
    )
    nomination_hour: int = _of_shop(
        "nomination_hour", "When the day's alerts are opened, on the shop's clock.", "每日开出预警的钟点"
    )
    capacity: int = _of_shop("capacity", "New alerts that the staff can take a working day.", "每个工作日的新预警上限")
    alert_lifetime: ShopSpan = _of_shop("alert_lifetime", "An older alert must not be acted on.", "预警有效期")
    agreement: ShopSpan = _of_shop(
        "agreement", "Two scores so far apart must agree before an alert.", "两次评分一致所需的间隔"
    )
    alert_above: float = _of_shop("alert_above", "The probability that both of them must exceed.", "开出预警的概率下限")
    rank_by: str = _of_shop("rank_by", "Who is called first: risk, or worth (risk × money).", "排序依据")
    fallen_odds: float = _of_shop(
        "fallen_odds",
        "An alert closes when the odds fall below this share of those that opened it.",
        "关闭预警的赔率比例",
    )
    answer_within: ShopSpan = _of_shop(
        "answer_within", "A complaint without an answer by then is an urgent alert; 0: never.", "投诉须在此时间内答复"
    )
    solve_within: ShopSpan = _of_shop(
        "solve_within", "A complaint that is not solved by then is an urgent alert; 0: never.", "投诉须在此时间内解决"
    )
    one_time_priors: Annotated[dict[str, float], Tables] = _of_shop(
        "one_time_priors",
        "Shares of the causes among lost one-time buyers; they sum to 1.",
        "一次性买家流失原因的先验占比",
    )
    repeat_priors: Annotated[dict[str, float], Tables] = _of_shop(
        "repeat_priors", "Shares of the causes among lost repeat buyers; they sum to 1.", "复购买家流失原因的先验占比"
    )
    seed: int = _of_shop("seed", "Kept with the results.", "随机种子")

    def settings(self) -> Settings:
        """These settings as the core knows them.

        >>> Shop(horizon="30d", campaigns=[{"name": "双11", "first_day": "2025-11-01", "last_day": "2025-11-11"}]
        ...     ).settings().campaigns[0].lull_days
        7
        """
        return self._settings

    @cached_property
    def _settings(self) -> Settings:
        return msgspec.convert(self.model_dump(), Settings)

    @model_validator(mode="after")
    def _as_the_core_wants_it(self) -> Self:
        try:
            self.settings()
        except ContradictorySettings as error:
            place, problem = (str(error.facts["name"]),), str(error.facts["problem"])
            raise ContradictionError(place, problem, str(error.facts["remedy"])) from error
        return self
