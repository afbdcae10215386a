"""Selection of number formats: the order of attempts, the selected one, and when to stop."""

import pytest

from aitk.core.compression.schemes import Attempt, choose, default_budget, schemes_of
from aitk.core.contract.task import Metric
from aitk.core.metrics.statistics import Drop

LADDER = ("static", "dynamic", "int16", "float16")


class Scorer:
    """Makes attempts with given drops, and records the requested ones."""

    def __init__(self, **drops):
        self.drops, self.made = drops, []

    def attempts(self):
        for scheme in LADDER:
            self.made.append(scheme)
            value, low, high = self.drops[scheme]
            yield Attempt(scheme, size=1, drop=Drop(value, low, high))


def test_the_first_scheme_without_a_loss_is_kept_and_no_other_is_made():
    scorer = Scorer(static=(0.002, -0.003, 0.006))
    kept, tried = choose(scorer.attempts(), budget=0.01)
    assert kept.scheme == "static" and scorer.made == ["static"] and len(tried) == 1


def test_a_loss_over_the_budget_leads_to_the_next_scheme():
    scorer = Scorer(static=(0.29, 0.25, 0.34), dynamic=(0.001, -0.002, 0.003))
    kept, tried = choose(scorer.attempts(), budget=0.01)
    assert kept.scheme == "dynamic" and [each.scheme for each in tried] == ["static", "dynamic"]


def test_a_real_loss_leads_to_the_next_scheme_also_within_the_budget():
    scorer = Scorer(static=(0.006, 0.002, 0.011), dynamic=(0.0, -0.001, 0.001))
    assert choose(scorer.attempts(), budget=0.01)[0].scheme == "dynamic"


def test_of_schemes_that_all_lose_something_real_the_one_that_loses_least_is_kept():
    real = {name: (0.01 * place, 0.001, 0.1) for place, name in enumerate(LADDER, 1)}
    scorer = Scorer(**real | {"int16": (0.004, 0.001, 0.1)})
    kept, tried = choose(scorer.attempts(), budget=0.005)
    assert kept.scheme == "int16" and len(tried) == 4


def test_a_loss_without_an_interval_is_evaluated_by_the_budget_alone():
    scorer = Scorer(static=(0.02, None, None), dynamic=(0.008, None, None))
    assert choose(scorer.attempts(), budget=0.01)[0].scheme == "dynamic"


def test_a_scheme_that_does_not_suit_the_model_is_passed_over_with_its_reason():
    refused = Attempt("static", refused="attention loses too much accuracy")
    fits = Attempt("dynamic", size=5, drop=Drop(0.0, -0.001, 0.001))
    kept, tried = choose(iter([refused, fits]), budget=0.01)
    assert kept is fits
    lines = [each.line(budget=0.01, chosen=each is kept) for each in tried]
    assert lines[0]["result"] == "attention loses too much accuracy"
    assert lines[1]["result"] == "within the budget: selected"


def test_a_real_loss_is_named_in_the_table():
    line = Attempt("static", size=10**6, drop=Drop(0.29, 0.25, 0.34)).line(
        budget=0.01, chosen=False
    )
    assert line["result"] == "over the budget, a significant loss" and line["MB"] == 1


@pytest.mark.parametrize(("rate", "value", "budget"), [(True, 0.9, 0.01), (False, 25.0, 0.25)])
def test_the_default_budget_is_a_point_of_a_rate_and_a_percent_of_others(rate, value, budget):
    class Scored:
        metric = Metric("metric", is_rate=rate)

    assert default_budget(Scored, value) == pytest.approx(budget)


def test_int8_is_a_ladder_and_every_other_name_one_scheme():
    assert schemes_of("litert", "int8") == LADDER
    assert schemes_of("onnx", "int8") == ("static", "dynamic", "float16")
    assert schemes_of("litert", "static") == ("static",)
