"""The report of explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.reporting.importance import global_importance, heat_chart, mean_heat
from aitk.core.reporting.numbers import format_number
from aitk.core.reporting.page import Page

LONG_TABLE = 12  # rows; longer tables are folded


def explanations_report(
    explanations: Iterable[Mapping[str, Any]],
    path: Path,
    *,
    run: str,
    facts: Mapping[str, Any],
    names: Sequence[str] = (),
) -> None:
    """Write a page of explained rows with coloured words.

    Args:
        explanations: each has ``parts`` (text and weight, in order) or ``pictures`` (caption and
            svg or png), and facts of its prediction; ``between`` separates the parts if they are
            not running text; ``nearest`` and ``counterfactual`` where they were computed.
        path: output path.
        run: the explained run, as given by the user.
        facts: figures about all of them.
        names: what each row is called: its file and line.
    """
    page = Page("What contributed to the predictions", run)
    explanations = list(explanations)
    page.facts(facts)
    if any(explanation.get("parts") for explanation in explanations):
        page.text(
            "Blue parts support the prediction, orange ones oppose it; the stronger the colour, the"
            " more its score changes without that part. Hover over a part for the figure."
        )
        page.scale("opposes the prediction", "supports it")
    if any(explanation.get("heat") for explanation in explanations):
        page.text(
            "Each picture is shown as it is, and under a map of heat. The bar at its right is the"
            " scale: from dark, no importance, to light, the most in this picture."
        )
    _add_importance(page, explanations)
    page.heading("Each row")
    page.begin_grid(wide=not all(explanation.get("pictures") for explanation in explanations))
    for place, explanation in enumerate(explanations):
        described = {
            name.replace("_", " "): _shown_value(name, value)
            for name, value in explanation.items()
            if isinstance(value, str | int | float) and name != "between"
        }
        title = ", ".join(f"{name}: {value}" for name, value in described.items())
        page.begin_card(names[place] if place < len(names) else f"row {place + 1}")
        page.words(title, explanation.get("parts", ()), between=explanation.get("between", ""))
        page.pictures(explanation.get("pictures", ()))
        if found := explanation.get("counterfactual"):
            words = " ".join(found["without"])
            page.text(f"Without \u201c{words}\u201d it predicts {found['prediction']}.", note=True)
        page.table(explanation.get("nearest", ()), caption="nearest training rows")
        page.end_card()
    page.end_grid()
    page.write(path)


def _add_importance(page: Page, explanations: Sequence[Mapping[str, Any]]) -> None:
    """What contributes over all rows, where there are several."""
    parts, heat = global_importance(explanations), mean_heat(explanations)
    if len(explanations) < 2 or not (parts or heat is not None):
        return
    page.heading("Over all rows")
    if parts:
        folded = f"Parts that contribute most ({len(parts)})" if len(parts) > LONG_TABLE else ""
        page.table(parts, folded=folded)
    if heat is not None:
        page.figure(heat_chart(heat), caption="Where the model looks on average.")


def _shown_value(name: str, value: Any) -> Any:
    if name == "probability":
        return f"{value:.1%}"
    return format_number(value) if isinstance(value, float) else value
