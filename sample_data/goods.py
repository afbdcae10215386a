"""What the made-up shop sells: the words behind the sample log and its catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Department:
    """Some goods, in the order in which people come to need them."""

    tags: str
    language: str
    usual_price: float
    goods: str


DEPARTMENTS = {
    "coffee": Department(
        tags="kitchen|drinks",
        language="en",
        usual_price=18,
        goods="espresso beans|hand grinder|pour-over dripper|paper filters|gooseneck kettle|"
        "kitchen scale|glass server|cup set|milk jug|milk frother|moka pot|tamper|cleaning brush|"
        "descaler|canister",
    ),
    "tea": Department(
        tags="kitchen|drinks",
        language="zh",
        usual_price=16,
        goods="龙井绿茶|茉莉花茶|普洱茶饼|紫砂壶|盖碗|公道杯|品茗杯|茶盘|茶漏|茶巾|茶叶罐|煮茶炉|茶针|"
        "旅行茶具|铁观音",
    ),
    "garden": Department(
        tags="outdoor|home",
        language="en",
        usual_price=14,
        goods="seed tray|tomato seeds|potting soil|hand trowel|garden gloves|watering can|"
        "plant netting|pruning shears|compost bin|herb pot|plant labels|garden hose|bird feeder|"
        "kneeling mat|garden lantern",
    ),
    "camping": Department(
        tags="outdoor|travel",
        language="en",
        usual_price=42,
        goods="two-person tent|sleeping bag|sleeping mat|headlamp|gas stove|cook pot|spork set|"
        "water filter|dry bag|tarp|guy lines|folding chair|cool box|first-aid kit|trail map",
    ),
    "running": Department(
        tags="outdoor|sport",
        language="en",
        usual_price=35,
        goods="running shoes|running socks|running shorts|running shirt|sun cap|sports watch|"
        "bottle belt|energy bars|foam roller|reflective vest|rain jacket|trail gaiters|"
        "arm pocket|recovery sandals|number belt",
    ),
    "baking": Department(
        tags="kitchen|home",
        language="en",
        usual_price=12,
        goods="bread flour|sourdough starter|proofing basket|bread knife|loaf tin|balloon whisk|"
        "mixing bowl|rolling pin|cake tin|cookie cutters|piping bags|cooling rack|oven mitts|"
        "apron|oven thermometer",
    ),
    "writing": Department(
        tags="paper|home",
        language="zh",
        usual_price=22,
        goods="笔记本|钢笔|墨水|铅笔盒|台灯|书签|信纸|毛笔|砚台|宣纸|印章|印泥|文件夹|桌面收纳盒|日历",
    ),
    "music": Department(
        tags="hobby|home",
        language="en",
        usual_price=28,
        goods="ukulele|ukulele strings|clip-on tuner|capo|picks|music stand|songbook|metronome|"
        "kalimba|practice pad|drumsticks|microphone|audio cable|headphones|shoulder strap",
    ),
}

# A way of making things: how much dearer it is, and its words in a title.
STYLES = {
    "thrifty": (0.6, {"en": "basic|everyday|small|simple", "zh": "经济|日常|简装"}),
    "natural": (1.0, {"en": "organic|recycled|undyed|local", "zh": "有机|天然|环保"}),
    "fine": (1.9, {"en": "handmade|studio|limited|signature", "zh": "手工|典藏|限量"}),
}

# In the catalogue, never sold in the log's year: title, tags, price.
UNSOLD = [
    ("Handmade coffee tasting spoons", "coffee|kitchen|drinks|fine", 24.0),
    ("环保茶席布", "tea|kitchen|drinks|natural", 15.5),
]

# What comes after that year: department and name.
LATER = [("camping", "solar charger"), ("coffee", "cold-brew bottle"), ("tea", "茶叶礼盒")]
