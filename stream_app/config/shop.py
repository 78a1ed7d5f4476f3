"""Business rules of the shop: validates the values of `core.settings.Settings` from a file or the environment."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec
from pydantic import model_validator

from stream_app.config.fields import ContradictionError, Listed, Section, ShopSpan, Tables, setting
from stream_app.config.policy_file import load_policy
from stream_app.core.settings import Settings
from stream_app.errors import ContradictorySettings

_DEFAULT: Final = Settings()


class Sale(Section):
    """A sale or holiday in the shop's calendar."""

    name: str
    first_day: date
    last_day: date
    lull_days: int = 7


class HoldoutRules(Section):
    """Customers who are left alone, to measure what the calls change."""

    share: float = setting(
        _DEFAULT.holdout.share,
        "Share of customers who are not called, if calls are planned. 0: everyone may be called.",
        "规划外呼时留作对照、不联系的客户占比；0 表示不留对照",
    )
    experiment: str = setting(
        _DEFAULT.holdout.experiment,
        "Name of the experiment. A new name draws other customers.",
        "实验名称；换名即重新抽取客户",
    )
    window: ShopSpan = setting(
        _DEFAULT.holdout.window,
        "Time after the draw within which an order counts. 0 means horizon.",
        "抽取后多久之内的订单计入结果；0 表示采用 horizon",
    )
    planned: int = setting(
        _DEFAULT.holdout.planned,
        "Number of drawn customers for which the interval of the effect is narrowest.",
        "计划抽取的客户数，此时效果区间最窄",
    )
    ends: bool = setting(
        _DEFAULT.holdout.ends,
        "Whether the experiment ends at the planned number, which narrows its interval.",
        "实验是否在达到计划客户数时结束；结束的实验区间更窄",
    )
    exempt_worth_above: float = setting(
        _DEFAULT.holdout.exempt_worth_above,
        "Customers who bring more than this per month are never held out. 0: no one is exempt.",
        "月均消费高于该值的客户一律不留作对照；0 表示无人例外",
    )
    later_share: float = setting(
        _DEFAULT.holdout.later_share,
        "Share once the planned number of customers has been drawn, if it is less than share.",
        "抽满计划客户数之后的对照占比，仅在低于 share 时生效",
    )


def _rule(name: str, meaning: str, zh: str) -> Any:
    """Return a field with the default value from `core.settings.Settings`."""
    return setting(getattr(_DEFAULT, name), meaning, zh)


class Shop(Section):
    """Churn definition, calendar, staff capacity and alert rules of the shop."""

    horizon: ShopSpan = _rule(
        "horizon", "A customer without an order for this long has churned.", "流失判定期：超过该时长未下单即为流失"
    )
    active_window: ShopSpan = _rule(
        "active_window",
        "Decisions cover customers with an order in this period.",
        "活跃窗口：仅对该期间内下过单的客户做判断",
    )
    decide_every: ShopSpan = _rule("decide_every", "Interval between decisions per customer.", "每位客户的判断间隔")
    lateness: ShopSpan = _rule(
        "lateness", "How late an event may arrive and still count fully.", "事件最多可迟到多久仍完整计入"
    )
    lost_after: ShopSpan = _rule(
        "lost_after",
        "The shop's own rule: a customer without an order for this long is lost. 0 means active_window.",
        "店铺自己的流失规则：超过该时长未下单即视为已流失；0 表示采用 active_window",
    )
    order_action: str = _rule(
        "order_action", "Event that counts as an order: placed or paid.", "以下单（placed）还是付款（paid）计为订单"
    )
    excluded: Annotated[frozenset[str], Listed] = _rule(
        "excluded", "Ids of fake, staff and test buyers.", "需排除的客户编号（刷单、员工、测试）"
    )
    campaigns: Annotated[tuple[Sale, ...], Tables] = setting(
        (),
        "Sales and holidays: name, first_day, last_day, lull_days.",
        "大促与节假日：name、first_day、last_day、lull_days",
    )
    zone: str = _rule("zone", "Time zone of the shop, such as Asia/Shanghai.", "店铺时区，如 Asia/Shanghai")
    working_days: Annotated[tuple[int, ...], Listed] = _rule(
        "working_days", "Working days of the staff, from 0 (Monday) to 6.", "工作日，0 为周一，6 为周日"
    )
    nomination_hour: int = _rule(
        "nomination_hour",
        "Hour of the day, in the shop's time zone, at which alerts open.",
        "每日开启预警的钟点（店铺时区）",
    )
    capacity: int = _rule(
        "capacity", "Maximum number of new alerts per working day.", "外呼能力：每个工作日新预警的上限"
    )
    alert_lifetime: ShopSpan = _rule(
        "alert_lifetime", "Time after which an alert expires.", "预警有效期，到期后不应再据此联系客户"
    )
    agreement: ShopSpan = _rule(
        "agreement",
        "An alert needs two high scores in a row, at least this far apart.",
        "开启预警需要连续两次高分，两次评分至少相隔该时长",
    )
    alert_above: float = _rule(
        "alert_above",
        "Churn probability that both scores must exceed, if alerts are ranked by risk.",
        "按风险选取客户时，两次评分都须超过的流失概率",
    )
    rank_by: str = _rule(
        "rank_by",
        "Which customers to call: worth or reach for a plan of the calls that reach the most revenue or people in time,"
        " risk for those at the highest risk.",
        "选取外呼客户的方式：worth、reach 规划外呼，使及时触达的金额或人数最多；risk 取风险最高者",
    )
    margin: float = _rule(
        "margin",
        "Share of revenue that is profit, above 0 and at most 1. The expected value is multiplied by it.",
        "毛利率，大于 0，不超过 1；预期价值按此折算",
    )
    act_before: ShopSpan = _rule(
        "act_before",
        "How long before a customer counts as lost a call must come, if calls are planned. 0: a quarter of lost_after.",
        "规划外呼时，最迟须在客户算作流失前多久联系；0 表示 lost_after 的四分之一",
    )
    fallen_odds: float = _rule(
        "fallen_odds",
        "An alert closes when the churn odds fall below this fraction of the odds at which it opened.",
        "流失赔率降至开启预警时的该比例以下，预警即关闭",
    )
    answer_within: ShopSpan = _rule(
        "answer_within",
        "Service target for the first answer to a complaint. A breach opens an urgent alert. 0 disables it.",
        "投诉首次答复的时限，超时即开启紧急预警；0 表示不设时限",
    )
    solve_within: ShopSpan = _rule(
        "solve_within",
        "Service target for solving a complaint. A breach opens an urgent alert. 0 disables it.",
        "投诉解决的时限，超时即开启紧急预警；0 表示不设时限",
    )
    one_time_priors: Annotated[dict[str, float], Tables] = _rule(
        "one_time_priors",
        "Prior probabilities of the causes for customers with one order. They sum to 1.",
        "单次购买客户各流失原因的先验占比，合计为 1",
    )
    repeat_priors: Annotated[dict[str, float], Tables] = _rule(
        "repeat_priors",
        "Prior probabilities of the causes for repeat customers. They sum to 1.",
        "复购客户各流失原因的先验占比，合计为 1",
    )
    learn_causes: bool = _rule(
        "learn_causes",
        "Whether causes that staff confirm change how likely causes are. False: the configured priors apply.",
        "客服确认的流失原因是否用于修正先验占比与证据概率；false 表示一律采用配置值",
    )
    blind_share: float = _rule(
        "blind_share",
        "Share of alerts that hide their likely causes. Only these measure how often the likely causes are right.",
        "不显示可能原因的预警占比；原因判断的准确率只据此计算",
    )
    holdout: HoldoutRules = HoldoutRules()
    seed: int = _rule(
        "seed",
        "Stored with the results. The current models use no randomness.",
        "随机种子，随结果保存；当前模型不使用随机数",
    )
    policy: Path | None = setting(
        None,
        "YAML file with the initial contact policy (docs/how-to/policy.md): capacity, limits, costs. Read at the start;"
        " `stream-app policy publish` changes it while the services run.",
        "初始的触达策略文件：外呼能力、频次上限、成本等，启动时读取；运行中用 `stream-app policy publish` 更换",
    )

    def settings(self) -> Settings:
        """Return these settings as `core.settings.Settings`.

        >>> Shop(horizon="30d", campaigns=[{"name": "双11", "first_day": "2025-11-01", "last_day": "2025-11-11"}]
        ...     ).settings().campaigns[0].lull_days
        7
        """
        return self._settings

    @cached_property
    def _settings(self) -> Settings:
        settings = msgspec.convert(self.model_dump(exclude={"policy"}), Settings)
        return settings if self.policy is None else settings.with_policy(load_policy(self.policy))

    @model_validator(mode="after")
    def _valid_in_the_core(self) -> Self:
        try:
            self.settings()
        except ContradictorySettings as error:
            place, problem = tuple(str(error.facts["name"]).split(".")), str(error.facts["problem"])
            raise ContradictionError(place, problem, str(error.facts["remedy"])) from error
        return self
