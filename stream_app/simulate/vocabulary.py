"""Vocabulary of the simulated shop: causes with priors, categories, search terms and complaint texts.

All names and texts are invented.
"""

from __future__ import annotations

from typing import Final

# cause: (share among lost one-time buyers, share among lost repeat buyers); from surveys among Taobao sellers
CAUSE_PRIORS: Final[dict[str, tuple[float, float]]] = {
    "forgot_shop": (0.46, 0.08),
    "price": (0.20, 0.22),
    "too_many_choices": (0.06, 0.22),
    "product_quality": (0.04, 0.07),
    "logistics": (0.03, 0.05),
    "service": (0.02, 0.05),
    "unresolved_complaint": (0.01, 0.04),
    "broken_promise": (0.01, 0.03),
    "habit_change": (0.07, 0.07),
    "poor_site": (0.02, 0.02),
    "out_of_stock": (0.01, 0.03),
    "no_personal_fit": (0.02, 0.03),
    "ad_harassment": (0.01, 0.02),
    "privacy": (0.01, 0.01),
    "small_customer_neglect": (0.00, 0.03),
    "natural": (0.03, 0.03),
}
CAUSES: Final = tuple(CAUSE_PRIORS)

# category key: (Chinese search terms, English search terms)
SEARCH_TERMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "dresses": (("连衣裙", "夏季长裙"), ("summer dress", "long skirt")),
    "menswear": (("男士衬衫", "休闲裤"), ("men shirt", "casual trousers")),
    "shoes": (("跑步鞋", "小白鞋"), ("running shoes", "white sneakers")),
    "bags": (("双肩包", "通勤包"), ("backpack", "work bag")),
    "skincare": (("面霜", "防晒霜"), ("face cream", "sunscreen")),
    "snacks": (("坚果礼盒", "牛肉干"), ("nut gift box", "beef jerky")),
    "tea": (("龙井茶", "普洱茶饼"), ("longjing tea", "pu'er tea")),
    "kitchen": (("不粘锅", "保温杯"), ("non-stick pan", "thermos")),
    "bedding": (("四件套", "乳胶枕"), ("bed set", "latex pillow")),
    "toys": (("积木", "毛绒玩具"), ("building blocks", "plush toy")),
    "stationery": (("手账本", "中性笔"), ("planner", "gel pen")),
    "phone_parts": (("手机壳", "充电线"), ("phone case", "charging cable")),
}
CATEGORIES: Final = tuple(SEARCH_TERMS)
TERMS_PER_CATEGORY: Final = 4  # two Chinese, then two English
SEARCHES: Final = tuple(term for zh, en in SEARCH_TERMS.values() for term in (*zh, *en))

# complaint category: (Chinese phrases, English phrases), two each
PHRASES: Final[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
    "quality": (("用了两天就坏了", "质量太差，有瑕疵"), ("It broke after two days", "Poor quality, with flaws")),
    "description": (("和图片不一样", "颜色与描述不符"), ("Not like the picture", "The colour is not as described")),
    "logistics": (("快递太慢了", "包裹破损"), ("Delivery took far too long", "The parcel was damaged")),
    "service": (("客服半天不回", "客服态度很差"), ("Nobody answers my messages", "The staff was rude")),
    "refund": (("退款一直没到账", "问题到现在没解决"), ("My refund never came", "My problem is still not solved")),
    "promise": (
        ("说好次日达，没有做到", "承诺的赠品没有"),
        ("Not next-day as promised", "The promised gift is missing"),
    ),
    "price": (("刚买就降价了", "比别家贵"), ("The price fell right after I bought", "Other shops are cheaper")),
    "messages": (("短信太多了", "不要再发广告"), ("Too many messages", "Stop sending advertisements")),
    "privacy": (("我的电话被泄露了", "请删除我的信息"), ("My phone number was leaked", "Please delete my data")),
    "survey": (("还可以", "满意"), ("It is fine", "Satisfied")),
}
COMPLAINT_CATEGORIES: Final = tuple(PHRASES)
TEXTS_PER_CATEGORY: Final = 4  # two Chinese, then two English
TEXTS: Final = tuple(text for zh, en in PHRASES.values() for text in (*zh, *en))

CARRIERS: Final = ("sf", "zto", "yto", "sto", "yunda")
STAFF: Final = ("lan", "mei", "qiang", "tao", "wei", "xiu", "yan", "zhen")
REGIONS: Final = ("Zhejiang", "Jiangsu", "Shanghai", "Guangdong", "Beijing", "Sichuan", "Hubei", "Shandong", "Fujian")
ACQUISITION_CHANNELS: Final = ("search", "livestream", "short_video", "affiliate", "referral", "ad")
VISIT_CHANNELS: Final = ("app", "mobile_web", "mini_program", "desktop")
COMPLAINT_CHANNELS: Final = ("chat", "phone", "app", "email")
