"""The step of Adam by one kernel a variable, where the backend has one.

Keras writes the step (Kingma and Ba 2015, algorithm 1, in the order of section 2) as a dozen
operations, each of which passes over the whole variable: of a table of embeddings they take longer
than everything else. TensorFlow's ``ResourceApplyAdam`` computes the same in one pass.
"""

from __future__ import annotations

from typing import Any


def with_fused_step(kind: type[Any]) -> type[Any]:
    """Adam or AdamW as Keras has it, with that kernel; the class as it is on other backends and
    under a distribution strategy."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return kind
    import tensorflow as tf

    if tf.distribute.has_strategy():
        return kind

    class WithFusedStep(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            place = self._get_variable_index(variable)
            momentum, velocity = self._momentums[place].value, self._velocities[place].value
            step = tf.cast(self.iterations + 1, variable.dtype)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=momentum.handle,
                v=velocity.handle,
                beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
                beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
                lr=tf.cast(learning_rate, variable.dtype),
                beta1=tf.cast(self.beta_1, variable.dtype),
                beta2=tf.cast(self.beta_2, variable.dtype),
                epsilon=tf.cast(self.epsilon, variable.dtype),
                grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
            )

    return WithFusedStep
