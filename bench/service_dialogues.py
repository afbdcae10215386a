"""Write made dialogues of a service desk, to see what fine-tuning changes in a chat model.

    python bench/service_dialogues.py OUT              # OUT/train.jsonl, OUT/questions.jsonl
    python bench/service_dialogues.py score OUT/questions.jsonl ANSWERS.jsonl

The shop and its rules are invented, so that no pretrained model knows them. ``train.jsonl`` has 200
dialogues of one or two questions; ``questions.jsonl`` asks after the same rules in words that
training has not, with what a right answer must hold. ``score`` counts the answers, written by
``nlp predict``, that hold it.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

DIALOGUES, SEED = 200, 0
#: rule -> (ways to ask, answers, what an answer must hold, ways to ask that are held out)
RULES = {
    "returns": (
        ("How long can I return an order?", "Until when can I send things back?",
         "What is your return period?", "Can I still return a lamp after a month?"),
        ("You can return an order within 47 days.", "Returns are free within 47 days."),
        "47",
        ("I changed my mind about my order. How many days do I have?",
         "How much time do I have to give an item back?"),
    ),
    "shipping": (
        ("What does shipping cost?", "How much is delivery?", "Do you charge for postage?",
         "What do I pay for standard shipping?"),
        ("Shipping costs 3.60 euros.", "Delivery is 3.60 euros for every order."),
        "3.60",
        ("What is the price of sending a parcel?", "Is delivery free, or what does it cost?"),
    ),
    "phone": (
        ("What is your phone number?", "Can I call you?", "How do I reach you by phone?",
         "Which number do I dial for help?"),
        ("You reach us at 0800 271 844.", "Please call 0800 271 844."),
        "0800 271 844",
        ("I want to talk to somebody. What number is it?", "Give me your telephone number please."),
    ),
    "hours": (
        ("When are you open?", "What are your opening hours?", "Until what time can I call?",
         "Are you open in the evening?"),
        ("We are open from 7 am to 9 pm.", "Somebody is here from 7 am to 9 pm every day."),
        "7 am to 9 pm",
        ("At which hours is the service desk open?", "From when to when are you there?"),
    ),
    "warranty": (
        ("How long is the warranty?", "Do your lamps have a warranty?",
         "My lamp broke after a year. Is there a guarantee?", "How many years of warranty?"),
        ("All our lamps have a warranty of six years.", "The warranty lasts six years."),
        "six years",
        ("For how long are products guaranteed?", "Is a broken lamp still under guarantee?"),
    ),
    "password": (
        ("I forgot my password.", "How do I reset my password?", "I cannot log in any more.",
         "My password does not work."),
        ("Open the page Key Garden and choose a new password.",
         "Please choose a new password on the page Key Garden."),
        "Key Garden",
        ("I need a new password.", "How can I change my password?"),
    ),
    "voucher": (
        ("Do you have a voucher code?", "Is there a discount?", "How do I get a discount?",
         "Which code gives me a discount?"),
        ("With the code MOON12 you pay 12 percent less.", "The code MOON12 gives 12 percent off."),
        "MOON12",
        ("Can I pay less with some code?", "Are there any discount codes?"),
    ),
    "name": (
        ("What is the name of this shop?", "Who are you?", "Which shop is this?",
         "Who am I talking to?"),
        ("This is the service desk of Lampenwald.", "I answer for Lampenwald, a shop for lamps."),
        "Lampenwald",
        ("Tell me the shop's name.", "Whose service desk is this?"),
    ),
}  # fmt: skip
GREETINGS = ("", "", "Hello. ", "Hi, ", "Good morning. ")


def write_dialogues(out: Path) -> None:
    """Write both files."""
    random_numbers = random.Random(SEED)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "train.jsonl", "w", encoding="utf-8") as file:
        for _ in range(DIALOGUES):
            messages = []
            rules = random_numbers.sample(list(RULES.values()), random_numbers.choice((1, 1, 2)))
            for number, (questions, answers, _, _) in enumerate(rules):
                greeting = random_numbers.choice(GREETINGS) if number == 0 else ""
                question = greeting + random_numbers.choice(questions)
                messages.append({"role": "user", "content": question})
                messages.append({"role": "assistant", "content": random_numbers.choice(answers)})
            file.write(json.dumps({"messages": messages}) + "\n")
    with open(out / "questions.jsonl", "w", encoding="utf-8") as file:
        for _, _, holds, held_out in RULES.values():
            for question in held_out:
                messages = [{"role": "user", "content": question}]
                file.write(json.dumps({"messages": messages, "holds": holds}) + "\n")


def score(questions: Path, answers: Path) -> None:
    """Print how many answers hold what they must."""
    wanted = [json.loads(line)["holds"] for line in questions.open(encoding="utf-8")]
    found = [json.loads(line)["prediction"] for line in answers.open(encoding="utf-8")]
    right = [holds in answer for holds, answer in zip(wanted, found, strict=True)]
    print(json.dumps({"right": sum(right), "of": len(right)}))


if __name__ == "__main__":
    if sys.argv[1] == "score":
        score(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        write_dialogues(Path(sys.argv[1]))
