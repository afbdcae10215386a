"""The options of each stage, for any task. Standard library only: help texts need it."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.options import option


@dataclass(frozen=True)
class PrepareOptions:
    """Splits and limits of ``prepare``."""

    split: str = option(
        "80/10/10",
        "train/validation/test in percent, where the files name none; 0/0/100 only scores a model",
    )
    held_out: str = option(
        "divide", "validation rows where the files name no test rows: divide them by hash into "
        "validation and test, or keep them",
        choices=("divide", "keep"),
    )  # fmt: skip
    seed: int = option(0, "salt of the hash that splits the rows", minimum=0, maximum=2**31 - 1)
    max_errors: int = option(1000, "stop when more rows than this are refused", minimum=0)


@dataclass(frozen=True)
class ParallelOptions:
    """How ``prepare`` and ``predict`` share their rows among processes."""

    workers: int | None = option(None, "processes that share the rows", minimum=1, maximum=10_000)
    part: str | None = option(
        None, "only the K-th of N parts, K/N, into OUT.K-of-N; aitk join puts them together"
    )
    engine: str | None = option(
        None, "address of a Ray cluster to run the --workers on (needs the extra cluster)"
    )


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained: shared by pretrain, finetune, tune, update and compress."""

    model: str | None = option(None, "which model to build (see: aitk tasks)")
    from_: str | None = option(
        None, "pretrained weights: a run, a Keras Hub preset, a Hugging Face folder, a file"
    )
    epochs: int | None = option(
        None,
        "passes over the training split; its default depends on the model; 0 keeps the weights it"
        " starts from",
        minimum=0,
    )
    batch_size: int | None = option(
        None, "rows per training step; its default depends on the model", minimum=1
    )
    learning_rate: float | None = option(
        None, "peak learning rate; its default depends on the model", minimum=0.0, maximum=100.0
    )
    patience: int | None = option(
        None,
        "epochs without a better validation score before stopping; by default a quarter, at least 3"
        " and those of 50 steps",
        minimum=1,
    )
    max_minutes: float | None = option(None, "stop training after this long", minimum=0.0)
    seed: int = option(0, "seed of weights, order and dropout", minimum=0, maximum=2**31 - 1)
    optimizer: str = option(
        "adamw",
        "update rule; schedule-free averages weights and needs no decay of the rate",
        choices=("adamw", "adam", "sgd", "muon", "schedule-free"),
        rare=True,
    )
    weight_decay: float = option(
        0.01, "decoupled weight decay (not of adam and sgd)", minimum=0.0, rare=True
    )
    warmup: float = option(
        0.06, "share of the steps with rising rate", minimum=0.0, maximum=1.0, rare=True
    )
    schedule: str = option(
        "linear", "learning rate after warm-up", choices=("linear", "cosine", "constant"), rare=True
    )
    clip_norm: float | None = option(
        1.0, "largest global gradient norm, or none", minimum=0.0, rare=True
    )
    ema: float | None = option(
        None,
        "judge and keep a moving average of the weights with this momentum (0.99)",
        minimum=0.0,
        maximum=0.99999,
        rare=True,
    )
    accumulate: int = option(1, "batches per weight update", minimum=1, rare=True)
    balance: bool = option(False, "weight rows by the inverse frequency of their class", rare=True)
    layer_decay: float | None = option(
        None,
        "share of its learning rate that each layer of the backbone leaves to the one below it,"
        " the head having all (0.65 to 0.9 for pretrained weights)",
        minimum=0.0,
        maximum=1.0,
        rare=True,
    )
    freeze_epochs: int = option(0, "first epochs that train only the head", minimum=0, rare=True)
    lora_rank: int | None = option(
        None, "train low-rank adapters of the backbone", minimum=1, rare=True
    )
    precision: str = option(
        "auto",
        "arithmetic; auto is bfloat16 on a GPU that has it, else float32",
        choices=("auto", "float32", "bfloat16", "float16"),
        rare=True,
    )
    save_minutes: float = option(
        2.0, "how often the state for --resume is saved", minimum=0.0, rare=True
    )
    devices: int | None = option(None, "how many GPUs to use; all by default", minimum=1, rare=True)


@dataclass(frozen=True)
class EvaluateOptions:
    """What ``evaluate`` measures and on which rows."""

    data: str | None = option(None, "another prepared folder, or a raw file with labels")
    split: str = option(
        "test",
        "which rows (validation where there is no test)",
        choices=("train", "validation", "test"),
    )
    resamples: int = option(1000, "bootstrap resamples for the intervals; 0 for none", minimum=0)
    batch_size: int = option(32, "rows per batch", minimum=1)
    seed: int = option(0, "seed of the bootstrap", minimum=0, maximum=2**31 - 1)
    ensemble_with: str | None = option(
        None, "combine the class probabilities with those of another run of the same labels"
    )
    ensemble_weight: float = option(
        1.0, "weight of its log-probabilities; the run's own have 1", minimum=0.0
    )


@dataclass(frozen=True)
class CompressOptions:
    """How ``compress`` makes a run smaller and faster."""

    quantize: str = option(
        "none",
        "number format: int8 tries static, dynamic, int16 and float16 until one keeps the score;"
        " the others are taken as they are",
        choices=("none", "int8", "static", "dynamic", "int16", "float16"),
    )
    format: str | None = option(
        None,
        "file format; by default litert with --quantize, else keras; onnx needs the extra onnx",
        choices=("keras", "litert", "onnx", "saved_model"),
    )
    prune: float | None = option(
        None, "share of the weights set to zero, smallest first", minimum=0.0, maximum=0.99
    )
    prune_channels: float | None = option(
        None,
        "share of the channels taken out of each convolution inside, smallest filters first",
        minimum=0.0,
        maximum=0.99,
    )
    distill: str | None = option(None, "train this smaller model on the run's own outputs")
    max_drop: float | None = option(
        None,
        "largest loss of the main metric that is accepted (exit 7); with --quantize int8 by default"
        " 0.01, or 1% of a metric such as perplexity",
        minimum=0.0,
    )
    split: str = option("test", "rows the loss is measured on", choices=("validation", "test"))
    calibration_rows: int = option(256, "training rows that set the int8 ranges", minimum=1)
    resamples: int = option(1000, "bootstrap resamples for the intervals", minimum=0)


@dataclass(frozen=True)
class PredictOptions:
    """How ``predict`` reads rows and writes predictions."""

    top_k: int | None = option(
        None, "predictions per row, best first; its default depends on the task", minimum=1
    )
    batch_size: int = option(32, "rows per batch", minimum=1)
    max_errors: int | None = option(None, "stop when more rows than this fail", minimum=0)
    resume: bool = option(False, "go on after the last whole row of --out")
    raw_cells: bool = option(
        False, "write .csv cells as they are, also those that a spreadsheet would evaluate"
    )
    draw: str | None = option(None, "also draw the predictions, as PNG files in this folder")
    ensemble_with: str | None = option(
        None, "combine the class probabilities with those of another run of the same labels"
    )
    ensemble_weight: float = option(
        1.0, "weight of its log-probabilities; the run's own have 1", minimum=0.0
    )


@dataclass(frozen=True)
class TuneOptions:
    """What ``tune`` searches."""

    trials: int | None = option(
        None, "how many settings to try: 10, or with --minutes as many as fit", minimum=1
    )
    minutes: float | None = option(
        None, "begin trials for this long, and end the last one then", minimum=0.01, maximum=1e6
    )
    models: list[str] = option(
        [],
        "search over these models, or all: those trained from scratch, the default with --minutes"
        " and no --model",
    )
    space: list[str] = option(
        [],
        "search KEY=LOW..HIGH (log) or KEY=A,B,C, or MODEL.KEY=... of one model; default: learning"
        " rate, batch size and the ranges of the model's settings",
        keyed=True,
    )
    sampler: str = option("tpe", "what proposes settings", choices=("tpe", "random"))
    pruner: str = option(
        "asha",
        "gives up trials early: the worse two thirds at 25% and 75% of the epochs (asha), those"
        " below the median (median), or none; never the defaults of a model",
        choices=("asha", "median", "none"),
    )
    workers: int = option(
        1, "processes on this machine; the same command, started again, adds one", minimum=1,
        maximum=256,
    )  # fmt: skip


@dataclass(frozen=True)
class UpdateOptions:
    """How ``update`` learns from new rows without losing the old ones."""

    replay: float = option(1.0, "old rows replayed for each new one", minimum=0.0)
    max_drop: float = option(
        0.0, "largest loss of the held-out score that is accepted", minimum=0.0
    )
    force: bool = option(False, "write the run even if it got worse")
    without_labels: bool = option(
        False, "the new rows have no labels, such as recordings of a new speaker: adapt the model"
        " to them, of all classes about as often, and replay nothing (SHOT)",
    )  # fmt: skip


@dataclass(frozen=True)
class ExplainOptions:
    """What ``explain`` shows."""

    rows: int = option(20, "how many rows to explain", minimum=1)
    target: str | None = option(None, "explain this label instead of the predicted one")
