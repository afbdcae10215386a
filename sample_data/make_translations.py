"""Write the sample translations: sentences of a shop's customer service in three languages.

Run ``python sample_data/make_translations.py`` to write the files again; the same script gives the
same bytes. Everything in them is made up.

    translations.tsv         source (English), target (German)
    translations_new.tsv     source alone                       (to translate)
    translations_update.tsv  as translations.tsv, other goods   (to update with)
    translations_zh.tsv      source (English), target (Chinese)
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
LANGUAGES = ("en", "de", "zh")
ROWS, NEW_ROWS, UPDATE_ROWS, CHINESE_ROWS = 480, 16, 60, 300

#: Slot -> fillings in each language. German has a form for each case that a sentence needs.
WORDS = {
    "thing": [
        ("the kettle", "der Wasserkocher", "den Wasserkocher", "水壶"),
        ("the lamp", "die Lampe", "die Lampe", "台灯"),
        ("the chair", "der Stuhl", "den Stuhl", "椅子"),
        ("the blanket", "die Decke", "die Decke", "毯子"),
        ("the camera", "die Kamera", "die Kamera", "相机"),
        ("the table", "der Tisch", "den Tisch", "桌子"),
        ("the radio", "das Radio", "das Radio", "收音机"),
        ("the backpack", "der Rucksack", "den Rucksack", "背包"),
        ("the clock", "die Uhr", "die Uhr", "时钟"),
        ("the jacket", "die Jacke", "die Jacke", "外套"),
        ("the book", "das Buch", "das Buch", "书"),
        ("the bicycle", "das Fahrrad", "das Fahrrad", "自行车"),
    ],
    "day": [
        ("on Monday", "am Montag", "am Montag", "星期一"),
        ("on Tuesday", "am Dienstag", "am Dienstag", "星期二"),
        ("on Friday", "am Freitag", "am Freitag", "星期五"),
        ("today", "heute", "heute", "今天"),
        ("tomorrow", "morgen", "morgen", "明天"),
        ("next week", "nächste Woche", "nächste Woche", "下周"),
    ],
    "state": [
        ("broken", "kaputt", "kaputt", "坏了"),
        ("too small", "zu klein", "zu klein", "太小了"),
        ("too large", "zu groß", "zu groß", "太大了"),
        ("very good", "sehr gut", "sehr gut", "非常好"),
        ("too expensive", "zu teuer", "zu teuer", "太贵了"),
        ("still new", "noch neu", "noch neu", "还是新的"),
    ],
    "colour": [
        ("red", "rot", "rot", "红色"),
        ("blue", "blau", "blau", "蓝色"),
        ("green", "grün", "grün", "绿色"),
        ("black", "schwarz", "schwarz", "黑色"),
        ("white", "weiß", "weiß", "白色"),
    ],
    "count": [
        ("two", "zwei", "zwei", "两"),
        ("three", "drei", "drei", "三"),
        ("five", "fünf", "fünf", "五"),
        ("ten", "zehn", "zehn", "十"),
    ],
    "city": [
        ("Berlin", "Berlin", "Berlin", "柏林"),
        ("Vienna", "Wien", "Wien", "维也纳"),
        ("London", "London", "London", "伦敦"),
        ("Shanghai", "Schanghai", "Schanghai", "上海"),
    ],
}
#: Goods of the later season.
LATER_THINGS = [
    ("the drill", "die Bohrmaschine", "die Bohrmaschine", "电钻"),
    ("the tent", "das Zelt", "das Zelt", "帐篷"),
    ("the ladder", "die Leiter", "die Leiter", "梯子"),
    ("the umbrella", "der Regenschirm", "den Regenschirm", "雨伞"),
    ("the lamp", "die Lampe", "die Lampe", "台灯"),
]
#: One sentence in each language; {thing:acc} is the German accusative, {Thing} begins a sentence.
SENTENCES = [
    ("{Thing} is {state}.", "{Thing} ist {state}.", "{thing}{state}。"),
    ("I ordered {thing} {day}.", "Ich habe {day} {thing:acc} bestellt.", "我{day}订购了{thing}。"),
    ("Where is {thing}?", "Wo ist {thing}?", "{thing}在哪里？"),
    ("Please send {thing} to {city}.", "Bitte senden Sie {thing:acc} nach {city}.",
     "请把{thing}寄到{city}。"),
    ("Can I return {thing} {day}?", "Kann ich {thing:acc} {day} zurückgeben?",
     "我可以{day}退回{thing}吗？"),
    ("{Thing} arrives {day} in {city}.", "{Thing} kommt {day} in {city} an.",
     "{thing}{day}到达{city}。"),
    ("We repair {thing} in {count} days.", "Wir reparieren {thing:acc} in {count} Tagen.",
     "我们在{count}天内修理{thing}。"),
    ("{Thing} is {colour}, not {colour2}.", "{Thing} ist {colour}, nicht {colour2}.",
     "{thing}是{colour}的，不是{colour2}的。"),
    ("I waited {count} weeks for {thing}.", "Ich habe {count} Wochen auf {thing:acc} gewartet.",
     "我等{thing}等了{count}个星期。"),
    ("{Thing} costs {count} euros too much.", "{Thing} kostet {count} Euro zu viel.",
     "{thing}贵了{count}欧元。"),
    ("The shop in {city} opens {day}.", "Das Geschäft in {city} öffnet {day}.",
     "{city}的商店{day}开门。"),
    ("My parcel from {city} is {state}.", "Mein Paket aus {city} ist {state}.",
     "我从{city}来的包裹{state}。"),
    ("Do you also have {thing} in {colour}?", "Haben Sie {thing:acc} auch in {colour}?",
     "你们还有{colour}的{thing}吗？"),
    ("Thank you, {thing} is {state}.", "Danke, {thing} ist {state}.", "谢谢，{thing}{state}。"),
]  # fmt: skip


def sentences(seed: int, words: dict) -> Iterator[tuple[str, str, str]]:
    """Endless different sentences, in English, German and Chinese."""
    rng = random.Random(seed)
    seen = set()
    while True:
        templates = rng.choice(SENTENCES)
        chosen = {name: rng.choice(fillings) for name, fillings in words.items()}
        chosen["colour2"] = rng.choice([c for c in words["colour"] if c != chosen["colour"]])
        texts = tuple(
            re.sub(
                r"\{(\w+)(:acc)?\}",
                lambda slot, place=place, chosen=chosen: fill(chosen, slot, place),
                template,
            )
            for place, template in enumerate(templates)
        )
        if texts[0] not in seen:
            seen.add(texts[0])
            yield texts


def fill(chosen: dict, slot: re.Match, language: int) -> str:
    """The word of a slot in a language, its first letter large where the slot's is."""
    forms = chosen[slot[1].lower()]
    word = forms[(0, 2 if slot[2] else 1, 3)[language]]
    return word[0].upper() + word[1:] if slot[1][0].isupper() else word


def write(name: str, header: str, rows: list[tuple[str, ...]]) -> None:
    lines = [header, *("\t".join(row) for row in rows)]
    (HERE / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Write every file anew."""
    made = sentences(11, WORDS)
    rows = [next(made) for _ in range(ROWS + NEW_ROWS)]
    write("translations.tsv", "source\ttarget", [(en, de) for en, de, _ in rows[:ROWS]])
    write("translations_new.tsv", "source", [(en,) for en, _, _ in rows[ROWS:]])
    later = sentences(12, WORDS | {"thing": LATER_THINGS})
    update = [next(later) for _ in range(UPDATE_ROWS)]
    write("translations_update.tsv", "source\ttarget", [(en, de) for en, de, _ in update])
    chinese = sentences(13, WORDS)
    pairs = [next(chinese) for _ in range(CHINESE_ROWS)]
    write("translations_zh.tsv", "source\ttarget", [(en, zh) for en, _, zh in pairs])


if __name__ == "__main__":
    main()
