"""Make the sample rows: short notes in four languages, each put together from phrases."""

from __future__ import annotations

import csv
import itertools
import random
from pathlib import Path

FOLDER = Path(__file__).parent / "aitk_language" / "sample_data"
PHRASES = {
    "English": (
        ["This morning", "Last week", "After lunch", "On the way home", "Before the meeting"],
        ["my neighbour", "the old teacher", "our youngest daughter", "a friend of mine"],
        ["bought fresh bread", "read the newspaper", "lost the keys", "wrote a long letter"],
        ["at the market.", "in the garden.", "near the bridge.", "without saying a word."],
    ),
    "German": (
        ["Heute früh", "Letzte Woche", "Nach dem Essen", "Auf dem Heimweg", "Vor der Sitzung"],
        ["hat mein Nachbar", "hat der alte Lehrer", "hat unsere Tochter", "hat ein Freund"],
        ["frisches Brot", "die Zeitung", "die Schlüssel", "einen langen Brief"],
        ["auf dem Markt gesucht.", "im Garten vergessen.", "an der Brücke gesehen.", "gefunden."],
    ),
    "French": (
        ["Ce matin", "La semaine dernière", "Après le repas", "En rentrant", "Avant la réunion"],
        ["mon voisin", "le vieux professeur", "notre plus jeune fille", "une amie à moi"],
        ["a acheté du pain frais", "a lu le journal", "a perdu les clés", "a écrit une lettre"],
        ["au marché.", "dans le jardin.", "près du pont.", "sans dire un mot."],
    ),
    "Spanish": (
        ["Esta mañana", "La semana pasada", "Después de comer", "De camino a casa", "Antes de ir"],
        ["mi vecino", "el viejo profesor", "nuestra hija menor", "un amigo mío"],
        ["compró pan fresco", "leyó el periódico", "perdió las llaves", "escribió una carta"],
        ["en el mercado.", "en el jardín.", "cerca del puente.", "sin decir palabra."],
    ),
}
ROWS = {"languages": 200, "languages_new": 12, "languages_update": 40}


def main() -> None:
    rng = random.Random(0)
    rows = []
    for language, parts in PHRASES.items():
        texts = [" ".join(phrases) for phrases in itertools.product(*parts)]
        rows += [(text, language) for text in rng.sample(texts, sum(ROWS.values()) // 4)]
    rng.shuffle(rows)
    FOLDER.mkdir(exist_ok=True)
    for name, count in ROWS.items():
        labelled = not name.endswith("_new")
        taken, rows = rows[:count], rows[count:]
        with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["text", "language"] if labelled else ["text"])
            writer.writerows(row if labelled else row[:1] for row in taken)


if __name__ == "__main__":
    main()
