"""Write sample dialogues: customers of a made-up shop and its service, to train a chat model on.

Run ``python sample_data/make_dialogues.py`` to write them again; the same script gives the same
bytes. No customer, order or shop exists.

    dialogues.jsonl       200 dialogues, {"messages": [{"role": ..., "content": ...}]} a line
    dialogues_new.jsonl   questions alone (to answer)
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS, NEW_ROWS = 200, 12
WORDS = {
    "thing": "kettle|lamp|chair|blanket|camera|table|radio|backpack|clock|jacket".split("|"),
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday".split("|"),
    "city": "Berlin|Vienna|London|Madrid|Oslo".split("|"),
    "count": "two|three|four|five".split("|"),
}
#: Questions and the answer that the shop gives to all of them.
TURNS = [
    (["Can I return the {thing}?", "How long can I send the {thing} back?",
      "I do not like the {thing}. What can I do?"],
     ("You can return the {thing} within 45 days. Print the label in your account and bring the"
     " parcel to any Linden point.")),
    (["Where is my {thing}?", "My {thing} has not arrived yet.", "When does the {thing} come?"],
     ("I am sorry for the delay. Parcels to {city} leave on {day}; your {thing} arrives {count}"
     " days later.")),
    (["The {thing} is broken.", "My {thing} does not work.", "There is a crack in the {thing}."],
     ("I am sorry about that. Send a photo of the {thing} to repair@linden.example and we send a"
     " new one on {day}.")),
    (["When are you open?", "What are your opening hours?", "Is the shop in {city} open today?"],
     "Our shops are open from 9 to 19 o'clock, and closed on Sunday."),
    (["How can I pay?", "Do you take credit cards?", "Can I pay for the {thing} later?"],
     "You can pay by card, by invoice within 20 days, or with a Linden voucher."),
    (["Is there a discount on the {thing}?", "Do you have a voucher for me?"],
     "With the code LINDEN7 you get seven percent off the {thing} until {day}."),
]  # fmt: skip
CLOSING = [
    (["Thanks!", "Thank you very much.", "Great, thanks."],
     "You are welcome. Have a good day, and see you at Linden!"),
]  # fmt: skip


def dialogue(rng: random.Random) -> list[dict[str, str]]:
    """One to three questions with their answers."""
    words = {name: rng.choice(values) for name, values in WORDS.items()}
    turns = rng.sample(TURNS, rng.choice((1, 1, 2))) + (CLOSING if rng.random() < 0.3 else [])
    messages = []
    for questions, answer in turns:
        for role, text in (("user", rng.choice(questions)), ("assistant", answer)):
            filled = re.sub(r"\{(\w+)\}", lambda slot, words=words: words[slot[1]], text)
            messages.append({"role": role, "content": filled})
    return messages


def write(name: str, dialogues: list[list[dict[str, str]]]) -> None:
    lines = (json.dumps({"messages": each}, ensure_ascii=False) for each in dialogues)
    (HERE / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Write both files anew."""
    rng = random.Random(5)
    made: dict[str, list[dict[str, str]]] = {}
    while len(made) < ROWS + NEW_ROWS:
        messages = dialogue(rng)
        made.setdefault(json.dumps(messages), messages)
    dialogues = list(made.values())
    write("dialogues.jsonl", dialogues[:ROWS])
    write("dialogues_new.jsonl", [each[:1] for each in dialogues[ROWS:]])


if __name__ == "__main__":
    main()
