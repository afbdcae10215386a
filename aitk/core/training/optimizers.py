"""The update rules by name: AdamW, Adam, SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aitk.core.training.layer_rates import rate_factors, with_rate_factors

if TYPE_CHECKING:
    import keras


def make_optimizer(options: Any, backbone: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of ``TrainingOptions``: clipping, accumulation, averaged weights included.

    Args:
        backbone: whose layers learn at lower rates, where ``layer_decay`` says so.
    """
    import keras

    def rule(kind: type[Any]) -> type[Any]:
        if options.layer_decay is None:
            return kind
        return with_rate_factors(kind, rate_factors(backbone, decay=options.layer_decay))

    shared = {
        "learning_rate": options.learning_rate,
        "global_clipnorm": options.clip_norm,
        "gradient_accumulation_steps": options.accumulate if options.accumulate > 1 else None,
        "use_ema": options.ema is not None,
        "ema_momentum": options.ema or 0.99,
    }
    if options.optimizer == "adamw":
        # Loshchilov and Hutter 2019. Norms and biases are not decayed, as in BERT's training.
        optimizer = rule(keras.optimizers.AdamW)(weight_decay=options.weight_decay, **shared)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    if options.optimizer == "adam":
        return rule(keras.optimizers.Adam)(**shared)
    return rule(keras.optimizers.SGD)(momentum=0.9, nesterov=True, **shared)
