"""Write what the assistant learns from: requests with their intents, and dialogues.

    python make_rows.py OUT        # OUT/intents.csv, OUT/dialogues.jsonl, OUT/typed.txt

The requests are those of ``sample_data/requests.csv`` in English, whose recordings are recognised,
and the same in Chinese, which people type. Numbers are drawn, so that words tell the intent.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from pathlib import Path

ROWS, SEED = 400, 0
DIGITS = {
    "en": "zero one two three four five six seven eight nine".split(),
    "zh": list("零一二三四五六七八九"),
}
#: intent -> language -> (what people say, what is answered); # is a number.
INTENTS = {
    "order_status": {
        "en": (("order #", "where is order #"), "Your order leaves the warehouse tomorrow."),
        "zh": (("订单#", "订单#到哪里了", "查一下订单#"), "您的订单明天发货。"),
    },
    "cancel": {
        "en": (("cancel order #",), "Your order is cancelled, the money comes back in two days."),
        "zh": (("取消订单#", "订单#不要了"), "订单已取消，两天内退款。"),
    },
    "payment": {
        "en": (("pay bill #",), "Your bill is paid by the card that we know."),
        "zh": (("付账单#", "我要付账单#"), "账单已用您的银行卡支付。"),
    },
    "call_back": {
        "en": (("call #",), "Somebody calls you within an hour."),
        "zh": (("请打电话#", "给我回电话#"), "一小时内有人给您回电话。"),
    },
    "repeat": {
        "en": (("repeat #",), "I send the last message once more."),
        "zh": (("重复#", "再说一遍#"), "我把上一条消息再发一次。"),
    },
}
TYPED = ("订单三七到哪里了", "取消订单四零六", "我要付账单九二", "给我回电话八八一")


def main(out: Path) -> None:
    """Write the three files."""
    drawn = random.Random(SEED)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for _ in range(ROWS):
        intent = drawn.choice(list(INTENTS))
        language = drawn.choice(("en", "zh"))
        sayings, answer = INTENTS[intent][language]
        digits = [drawn.choice(DIGITS[language]) for _ in range(drawn.randint(2, 4))]
        number = " ".join(digits) if language == "en" else "".join(digits)
        rows.append((drawn.choice(sayings).replace("#", number), intent, answer))
    with open(out / "intents.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "intent"))
        writer.writerows((text, intent) for text, intent, _ in rows)
    with open(out / "dialogues.jsonl", "w", encoding="utf-8") as file:
        for text, _, answer in rows:
            said = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": said}, ensure_ascii=False) + "\n")
    (out / "typed.txt").write_text("".join(f"{line}\n" for line in TYPED), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
