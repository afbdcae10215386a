"""How much of one training row a private training gives away, and the noise that bounds it."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.errors import UsageError
from aitk.core.privacy.prv import prv_epsilon
from aitk.core.privacy.rdp import rdp_epsilon

#: Multiples of the clipping norm; more noise leaves nothing to learn from.
LARGEST_NOISE = 1000.0
#: Epsilon is brought this near below what was asked for, as a share of it.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Account:
    """A training by DP-SGD (Abadi et al. 2016): what its guarantee depends on.

    Attributes:
        rate: probability with which a step takes a row.
        noise: standard deviation of the noise, as a multiple of the clipping norm.
        delta: probability with which the bound may fail.
    """

    rate: float
    noise: float
    delta: float

    def epsilon(self, steps: int) -> float:
        """The bound after so many steps: numerical composition, or RDP where that is less."""
        return min(self.prv(steps), self.rdp(steps))

    def prv(self, steps: int) -> float:
        """By numerical composition (Gopi et al. 2021)."""
        return prv_epsilon(rate=self.rate, noise=self.noise, steps=steps, delta=self.delta)

    def rdp(self, steps: int) -> float:
        """By Renyi divergences (Mironov et al. 2019), which is larger and has no grid."""
        return rdp_epsilon(rate=self.rate, noise=self.noise, steps=steps, delta=self.delta)


def account_for(*, epsilon: float, delta: float, rate: float, steps: int) -> Account:
    """The account with the least noise that keeps epsilon after so many steps.

    Raises:
        UsageError: no noise that leaves anything to learn does.
    """
    low, high = 0.0, 1.0
    while rdp_epsilon(rate=rate, noise=high, steps=steps, delta=delta) > epsilon:
        low, high = high, 2 * high
        if high > LARGEST_NOISE:
            raise UsageError(
                f"no noise up to {LARGEST_NOISE:g} keeps epsilon {epsilon:g} for {steps:,} steps",
                where="--epsilon",
                hint="Allow more, or train for fewer --epochs",
            )
    while high - low > 1e-3 * high:  # what RDP needs is nearly what is needed
        middle = (low + high) / 2
        if rdp_epsilon(rate=rate, noise=middle, steps=steps, delta=delta) > epsilon:
            low = middle
        else:
            high = middle
    low = 0.0
    while True:
        account = Account(rate, high, delta)
        if low and (high - low < 1e-3 * high or account.epsilon(steps) > (1 - TOLERANCE) * epsilon):
            return account
        middle = (low + high) / 2 if low else 0.95 * high
        if Account(rate, middle, delta).epsilon(steps) > epsilon:
            low = middle
        else:
            high = middle
            if not low and middle < 0.3:  # the bound hardly depends on so little noise
                return Account(rate, high, delta)
