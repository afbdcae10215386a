"""Epsilon against recorded values of dp-accounting 0.6.0 and opacus 1.6.0."""

import math

import pytest
from scipy import optimize, special

from aitk.core.contract.errors import UsageError
from aitk.core.privacy.accountant import Account, account_for
from aitk.core.privacy.prv import prv_epsilon
from aitk.core.privacy.rdp import rdp_epsilon

# rate, noise, steps, delta; dp-accounting: RDP, PLD; opacus: PRV, which bounds from above.
RECORDED = [
    (0.01, 1.0, 1_000, 1e-5, 2.101367, 1.828244, 1.838372),
    (0.01, 1.1, 10_000, 1e-5, 5.632011, 5.192620, 5.202865),
    (64 / 6_920, 0.7, 1_090, 1e-5, 5.228218, 4.443309, 4.453662),
    (0.02, 4.0, 5_000, 1e-6, 1.702800, 1.582046, 1.592075),
    (0.1, 2.0, 500, 1e-5, 6.034562, 5.555470, 5.565771),
    (1.0, 10.0, 100, 1e-5, 4.728507, 4.377179, 4.387413),
    (0.05, 0.5, 40, 1e-5, 15.156516, 12.878317, 12.889334),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "rdp", "pld", "prv"), RECORDED)
def test_epsilon_is_that_of_other_accountants(rate, noise, steps, delta, rdp, pld, prv):
    how = {"rate": rate, "noise": noise, "steps": steps, "delta": delta}
    assert rdp_epsilon(**how) == pytest.approx(rdp, rel=1e-3)
    ours = prv_epsilon(**how)
    assert ours == pytest.approx(pld, rel=5e-3)
    assert pld - 1e-3 <= ours <= prv + 1e-3


def test_the_gaussian_mechanism_has_its_exact_epsilon():
    # Balle and Wang 2018, theorem 8, of the composition of 50 releases with noise 12.
    mu = math.sqrt(50) / 12

    def excess(epsilon):
        upper = special.ndtr(mu / 2 - epsilon / mu)
        return upper - math.exp(epsilon) * special.ndtr(-mu / 2 - epsilon / mu) - 1e-6

    exact = optimize.brentq(excess, 0, 10)
    found = prv_epsilon(rate=1.0, noise=12.0, steps=50, delta=1e-6)
    assert exact <= found <= exact + 0.011


def test_nothing_taken_costs_nothing_and_more_steps_cost_more():
    account = Account(rate=0.01, noise=1.0, delta=1e-5)
    assert account.epsilon(0) == 0
    assert account.epsilon(100) < account.epsilon(200) < account.epsilon(400)
    assert rdp_epsilon(rate=0.0, noise=1.0, steps=10, delta=1e-5) == 0


@pytest.mark.parametrize(
    ("epsilon", "rate", "steps"),
    [pytest.param(8.0, 0.01, 1000, marks=pytest.mark.slow), (1.0, 0.05, 300)],
)
def test_the_noise_just_keeps_epsilon(epsilon, rate, steps):
    account = account_for(epsilon=epsilon, delta=1e-5, rate=rate, steps=steps)
    assert 0.98 * epsilon <= account.epsilon(steps) <= epsilon


def test_an_epsilon_that_no_noise_keeps_is_refused():
    with pytest.raises(UsageError, match="epsilon"):
        account_for(epsilon=0.01, delta=1e-9, rate=1.0, steps=10**8)
