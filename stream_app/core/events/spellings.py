"""Accepted spellings of the wire schema's enumeration values, as written by shop systems.

Only letters and digits are compared, ignoring case: `ADD_TO_CART`, `addToCart` and `Add to cart` are equal. Only
unambiguous spellings are listed, since misreading a word is worse than not knowing it: unknown words are counted and
reported (unknown_words.py). Deliberately omitted:

- `completed`, `success`, `finished`, `TRADE_FINISHED`, `已完成`, `交易成功` for orders: paid in one system, delivered
  in another. If they were read as paid, orders would be counted twice for shops that send both steps.
- `pending`, `processing`, `confirmed`, `待发货` for orders: before payment in one system, after it in another.
- `closed`, `TRADE_CLOSED`, `交易关闭` for orders: cancelled or refunded.
- `ticket`, `工单` for the form of a complaint: a ticket may be a question.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# enumeration -> value -> alternative spellings
SPELLINGS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "Page": {
        "home": ("homepage", "index", "main", "首页", "主页"),
        "category": (
            *("category page", "categories", "collection", "collections", "list", "listing", "product list", "plp"),
            *("catalog", "catalogue", "分类", "分类页", "类目", "类目页", "列表页", "商品列表"),
        ),
        "product": (
            *("product page", "product detail", "product details", "detail", "details", "item", "item page", "pdp"),
            *("goods", "商品", "商品页", "详情", "详情页", "商品详情", "商品详情页", "宝贝详情"),
        ),
        "search": ("search page", "search result", "search results", "搜索", "搜索页", "搜索结果", "搜索结果页"),
        "cart": ("cart page", "shopping cart", "basket", "bag", "购物车", "购物车页"),
        "checkout": ("checkout page", "payment", "payment page", "结算", "结算页", "收银台", "支付页", "确认订单"),
        "account": (
            *("account page", "my account", "profile", "user center", "member center"),
            *("我的", "账户", "我的账户", "个人中心", "用户中心", "会员中心"),
        ),
        "help": (
            *("help page", "help center", "help centre", "faq", "support", "customer service", "contact us"),
            *("帮助", "帮助中心", "客服", "常见问题"),
        ),
    },
    "CartAction": {
        "add": (
            *("added", "add to cart", "added to cart", "cart add", "add item", "item added", "product added"),
            *("加购", "已加购", "加购物车", "加入购物车", "添加购物车", "添加到购物车"),
        ),
        "remove": (
            *("removed", "remove from cart", "removed from cart", "cart remove", "remove item", "item removed"),
            *("product removed", "delete", "deleted", "移除", "删除", "移出购物车", "从购物车删除"),
        ),
        "favourite": (
            *("favorite", "favourited", "favorited", "fav", "like", "liked", "collect", "wishlist", "wishlist add"),
            *("add to wishlist", "added to wishlist", "product added to wishlist", "add to favourites"),
            *("add to favorites", "收藏", "已收藏", "加收藏", "添加收藏", "收藏商品"),
        ),
        "unfavourite": (
            *("unfavorite", "unfav", "unlike", "wishlist remove", "remove from wishlist", "removed from wishlist"),
            *("remove from favourites", "remove from favorites", "取消收藏", "移除收藏"),
        ),
        "checkout_started": (
            *("checkout", "begin checkout", "start checkout", "started checkout", "initiate checkout"),
            *("initiated checkout", "结算", "去结算", "开始结算", "进入结算"),
        ),
        "checkout_abandoned": (
            *("abandon checkout", "abandoned checkout", "checkout abandon"),
            *("放弃结算", "放弃付款", "放弃支付", "弃单"),
        ),
        "payment_failed": (
            *("payment failure", "payment error", "payment declined", "failed payment", "pay failed", "card declined"),
            *("支付失败", "付款失败"),
        ),
        "payment_method_removed": (
            *("remove payment method", "removed payment method", "payment method deleted", "delete payment method"),
            *(
                "card removed",
                "remove card",
                "移除支付方式",
                "删除支付方式",
                "解绑支付方式",
                "删除银行卡",
                "解绑银行卡",
            ),
        ),
    },
    "OrderAction": {
        "placed": (
            *("place", "place order", "order placed", "created", "create", "order created", "new", "new order"),
            *("submitted", "order submitted", "ordered", "unpaid", "pending payment", "awaiting payment"),
            *(
                "WAIT_BUYER_PAY",
                "下单",
                "已下单",
                "已创建",
                "创建订单",
                "已提交",
                "提交订单",
                "待付款",
                "待支付",
                "未付款",
            ),
            *("未支付", "等待付款", "等待支付", "等待买家付款"),
        ),
        "paid": (
            *(
                "pay",
                "order paid",
                "paid in full",
                "payment",
                "payment received",
                "payment success",
                "payment succeeded",
            ),
            *(
                "payment successful",
                "payment completed",
                "payment captured",
                "pay success",
                "captured",
                "buy",
                "bought",
            ),
            *(
                "purchase",
                "purchased",
                "WAIT_SELLER_SEND_GOODS",
                "付款",
                "支付",
                "已付款",
                "已支付",
                "付款成功",
                "支付成功",
            ),
            *("付款完成", "支付完成", "买家已付款", "购买", "已购买"),
        ),
        "shipped": (
            *("ship", "order shipped", "dispatched", "in transit", "fulfilled", "out for delivery"),
            *(
                "WAIT_BUYER_CONFIRM_GOODS",
                "发货",
                "已发货",
                "卖家已发货",
                "已出库",
                "已揽收",
                "运输中",
                "配送中",
                "派送中",
            ),
            "待收货",
        ),
        "delivered": (
            *("deliver", "order delivered", "delivery completed", "received", "signed", "signed for"),
            *("TRADE_BUYER_SIGNED", "送达", "已送达", "签收", "已签收", "买家已签收", "已收货", "确认收货", "已妥投"),
        ),
        "cancelled": (
            *("canceled", "cancel", "order cancelled", "order canceled", "void", "voided", "TRADE_CLOSED_BY_TAOBAO"),
            *("取消", "已取消", "取消订单", "订单取消", "订单已取消"),
        ),
        "returned": (
            *("return", "order returned", "item returned", "sent back"),
            *("退货", "已退货", "退货成功", "退货完成", "退货入库"),
        ),
        "refunded": (
            *("refund", "order refunded", "refund success", "refund succeeded", "refund successful"),
            *("refund completed", "partially refunded", "partial refund"),
            *("退款", "已退款", "退款成功", "退款完成", "部分退款", "仅退款"),
        ),
    },
    "ComplaintForm": {
        "complaint": ("complaints", "complain", "claim", "dispute", "投诉", "客诉", "投诉工单", "维权"),
        "low_review": (
            *("bad review", "negative review", "poor review", "low rating", "negative feedback"),
            *("差评", "低分评价"),
        ),
        "return_reason": (
            *("return", "return request", "reason for return", "refund reason"),
            *("退货", "退货原因", "退货理由", "退款原因"),
        ),
        # Forms that count as a complaint only if the rating is low.
        "survey": (
            *("survey answer", "survey response", "questionnaire", "review", "product review", "rating", "feedback"),
            *("csat", "good review", "positive review", "positive feedback", "praise", "compliment"),
            *("问卷", "调查", "问卷调查", "满意度", "满意度调查", "评价", "评分", "反馈", "好评", "表扬"),
        ),
        "unsubscribe": ("unsubscribed", "opt out", "opted out", "退订", "已退订", "取消订阅"),
        "cancellation": (
            *("cancel", "cancelled", "canceled", "order cancellation", "cancel order"),
            *("取消", "取消订单", "订单取消", "取消原因"),
        ),
    },
    "ComplaintAction": {
        "opened": (
            *("open", "create", "created", "new", "submit", "submitted", "file", "filed", "raised", "registered"),
            *("创建", "已创建", "新建", "提交", "已提交", "发起", "已发起", "待处理", "未处理", "待受理"),
        ),
        "answered": (
            *("answer", "reply", "replied", "respond", "responded", "response", "first response"),
            *("回复", "已回复", "答复", "已答复", "已响应", "已回应"),
        ),
        "resolved": (
            *("resolve", "solve", "solved", "fixed", "close", "closed", "done", "complete", "completed", "finished"),
            *("解决", "已解决", "关闭", "已关闭", "结案", "已结案", "已完结", "已处理", "处理完成", "已完成"),
        ),
        "reopened": ("reopen", "重新打开", "重开", "已重开", "再次打开", "再次投诉", "重新投诉"),
        "refiled": ("refile", "recategorised", "recategorized", "reclassified", "重新归类", "重新分类", "改类"),
    },
    "ContactAction": {
        "sent": ("send", "message sent", "email sent", "sms sent", "发送", "已发送", "发送成功"),
        "delivered": ("received", "delivery", "已送达", "送达", "已接收"),
        "opened": ("open", "read", "viewed", "已读", "已打开", "打开"),
        "replied": ("reply", "answered", "responded", "已回复", "回复"),
        "failed": ("failure", "bounce", "bounced", "undelivered", "not delivered", "发送失败", "失败", "退信"),
        "opted_out": ("opt out", "unsubscribe", "unsubscribed", "do not contact", "退订", "已退订", "取消订阅"),
        "opted_in": ("opt in", "subscribe", "subscribed", "resubscribed", "订阅", "已订阅", "重新订阅"),
    },
    "AlertAction": {  # the words of 0.1.1, and those that 0.2.0 read as well
        "episode_opened": ("alert opened",),
        "episode_acked": ("alert acked",),
        "episode_snoozed": ("alert snoozed",),
        "episode_resolved": ("alert resolved",),
    },
}


def letters_of(word: str) -> str:
    """Normalise a word for comparison: keep letters and digits only, in lower case and normal width.

    >>> letters_of("addToCart") == letters_of("ADD_TO-cart ") == letters_of("ａｄｄ to cart") == "addtocart"
    True
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", word).casefold()))


_OTHER: Final = {"other": ("others", "其他", "其它")}  # spellings shared by all enumerations
_WORD_OF: Final = {
    name: {letters_of(one): word for word, others in (words | _OTHER).items() for one in (word, *others)}
    for name, words in SPELLINGS.items()
}


def word_of(enumeration: str, spelling: str) -> str | None:
    """Return the enumeration value for a spelling, or None if it is unknown.

    >>> word_of("OrderAction", "PAID"), word_of("OrderAction", "支付成功"), word_of("OrderAction", "completed")
    ('paid', 'paid', None)
    """
    return _WORD_OF[enumeration].get(letters_of(spelling))
