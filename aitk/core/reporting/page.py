"""Builds a self-contained HTML page: works offline, without scripts, with everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from aitk import __version__
from aitk.core.io.files import atomic_text
from aitk.core.io.names import printable
from aitk.core.reporting.charts import number

MISSING = "–"
#: The keys of a score, without and with its interval.
SCORES = ({"value"}, {"value", "low", "high"}, {"value", "low", "high", "interval"})
LONGEST_CELL = 400  # maximum characters of a user's text in a table


class Page:
    """A page, built block by block from top to bottom.

    Args:
        title: title of the page.
        subtitle: one line below it.
    """

    def __init__(self, title: str, subtitle: str = ""):
        self.title, self.subtitle = title, subtitle
        self._blocks: list[dict[str, Any]] = []

    def heading(self, text: str, *, level: int = 2) -> None:
        self._add("heading", text=text, level=level)

    def text(self, text: str, *, note: bool = False) -> None:
        """A paragraph; a ``note`` has a muted colour."""
        self._add("text", text=text, note=note)

    def headline(self, figures: Iterable[tuple[str, str, str]]) -> None:
        """The key figures: (name, value, remark)."""
        self._add(
            "headline",
            figures=[{"name": name, "value": value, "note": note} for name, value, note in figures],
        )

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Names and values, without empty ones."""
        shown = [(_words(name), cell(value)) for name, value in facts.items() if _says(value)]
        if shown:
            self._add("facts", facts=shown)

    def table(
        self, rows: Sequence[Mapping[str, Any]], *, caption: str = "", folded: str = ""
    ) -> None:
        """Rows with the columns of the first row; ``folded`` is the summary line of a folded
        table."""
        if not rows:
            return
        names = list(rows[0])
        columns = [
            {"title": _words(name), "number": all(_is_number(row.get(name)) for row in rows)}
            for name in names
        ]
        cells = [[cell(row.get(name)) for name in names] for row in rows]
        self._add("table", columns=columns, rows=cells, caption=caption, folded=folded)

    def findings(self, findings: Iterable[Mapping[str, Any]]) -> None:
        """Graded findings, most severe first: ``grade``, ``message``, ``details``."""
        gravity = ("error", "warning", "skipped", "ok")
        ordered = sorted(findings, key=lambda finding: gravity.index(finding["grade"]))
        shown = [
            {
                "grade": finding["grade"],
                "message": finding["message"],
                "more": "; ".join(
                    f"{_words(name)}: {cell(value)}"
                    for name, value in dict(finding.get("details") or {}).items()
                    if _says(value)
                ),
            }
            for finding in ordered
        ]
        if shown:
            self._add("findings", findings=shown)

    def figure(self, picture: Markup, *, caption: str = "") -> None:
        """A chart from ``core.reporting.charts``."""
        self._add("figure", picture=picture, caption=caption)

    def figures(self, pictures: Sequence[Markup]) -> None:
        """Small charts side by side, as many as fit."""
        self._add("figures", pictures=list(pictures))

    def pictures(self, pictures: Iterable[Mapping[str, Any]]) -> None:
        """Pictures of a task: PNG bytes or SVG text, each with a caption."""
        for picture in pictures:
            if "svg" in picture:
                self.figure(Markup(picture["svg"]), caption=picture["caption"])
            else:
                self.picture(picture["png"], caption=picture["caption"])

    def picture(self, png: bytes, *, caption: str = "") -> None:
        """A PNG image, embedded in the page."""
        self._add("photo", data=base64.b64encode(png).decode("ascii"), caption=caption)

    def bars(self, amounts: Mapping[str, float], *, caption: str = "") -> None:
        """A named bar for each amount, in the given order; names are HTML text."""
        most = max(amounts.values(), default=0) or 1
        bars = [
            (name, f"{100 * amount / most:.1f}", number(amount)) for name, amount in amounts.items()
        ]
        self._add("bars", bars=bars, caption=caption)

    def confusion(
        self, rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]]
    ) -> None:
        """A confusion matrix of readable size; colours are shares of the row."""
        lines = []
        for label, line in zip(rows, counts, strict=True):
            total = sum(line) or 1
            lines.append(
                (
                    label,
                    [
                        {
                            "count": count,
                            "share": f"{0.08 + 0.62 * count / total:.2f}",
                            "side": "right" if label == column else "wrong",
                        }
                        for column, count in zip(columns, line, strict=True)
                    ],
                )
            )
        self._add("confusion", columns=list(columns), rows=lines)

    def words(self, title: str, parts: Sequence[Mapping[str, Any]], *, between: str = "") -> None:
        """A text with coloured parts (``text``, ``weight``): blue for, orange against."""
        most = max((abs(part["weight"]) for part in parts), default=0) or 1
        words = [
            {
                "text": part["text"],
                "side": "" if not part["weight"] else "for" if part["weight"] > 0 else "against",
                "share": f"{0.7 * abs(part['weight']) / most:.2f}",
                "weight": f"{part['weight']:+.3f}",
            }
            for part in parts
        ]
        self._add("words", title=title, words=words, between=between)

    def scale(self, low: str, high: str) -> None:
        """The scale of the colours of ``words``."""
        self._add("scale", low=low, high=high)

    def begin_grid(self, *, wide: bool) -> None:
        """Cards from here on stand beside each other; ``wide`` ones each on a line of its own."""
        self._add("begin_grid", wide=wide)

    def end_grid(self) -> None:
        self._add("end_grid")

    def begin_card(self, name: str) -> None:
        """Blocks from here on belong together, under a name."""
        self._add("begin_card", name=name)

    def end_card(self) -> None:
        self._add("end_card")

    def code(self, text: str) -> None:
        """Commands, as typed."""
        self._add("code", text=text)

    def html(self) -> str:
        """The page as one HTML document."""
        import jinja2

        loader = jinja2.PackageLoader("aitk.core", "templates")
        environment = jinja2.Environment(loader=loader, autoescape=True)
        return environment.get_template("report.html").render(
            title=self.title, subtitle=self.subtitle, blocks=self._blocks, version=__version__
        )

    def write(self, path: Path) -> None:
        """Write the page, completely or not at all."""
        with atomic_text(path) as file:
            file.write(printable(self.html()))

    def _add(self, kind: str, **values: Any) -> None:
        self._blocks.append({"kind": kind, **values})


def cell(value: Any) -> str | Markup:
    """Format a JSON value. Scores become a number with its interval."""
    if value is None:
        return MISSING
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, Mapping):
        if set(value) in SCORES and all(map(_is_number, list(value.values())[:3])):
            return score_cell(value)
        return ", ".join(f"{name}: {cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(cell(item)) for item in value)
    text = str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def score_cell(score: Mapping[str, float]) -> Markup:
    """``0.9120 [0.900, 0.924]``."""
    if score["value"] is None:
        return Markup(MISSING)
    text = Markup("{}").format(f"{score['value']:.4f}")
    if score.get("low") is not None and score.get("high") is not None:
        between = f"[{score['low']:.3f}, {score['high']:.3f}]"
        text += Markup(' <span class="range-text">{}</span>').format(between)
    return text


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _says(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != {}


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
