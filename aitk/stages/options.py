"""The options of each stage, for any task. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.options import option


@dataclass(frozen=True)
class PrepareOptions:
    """Splits and limits of ``prepare``."""

    split: str = option(
        "80/10/10",
        "train/validation/test in percent, if the files define none; 0/0/100 only scores a model",
    )
    held_out: str = option(
        "divide", "validation rows if the files have no test rows: divide them by hash into "
        "validation and test, or keep them",
        choices=("divide", "keep"),
    )  # fmt: skip
    seed: int = option(0, "salt of the hash that splits the rows", minimum=0, maximum=2**31 - 1)
    max_errors: int = option(1000, "maximum number of refused rows", minimum=0)


@dataclass(frozen=True)
class ParallelOptions:
    """Processes and parts of ``prepare`` and ``predict``."""

    workers: int | None = option(None, "number of worker processes", minimum=1, maximum=10_000)
    part: str | None = option(
        None, "only part K of N, as K/N, into OUT.K-of-N; aitk join combines the parts"
    )
    engine: str | None = option(
        None, "address of a Ray cluster to run the --workers on (needs the extra cluster)"
    )


@dataclass(frozen=True)
class RankOptions:
    """How one model is trained by several processes."""

    ranks: int | None = option(
        None,
        "processes that share every batch",
        minimum=1,
        maximum=10_000,
    )
    engine: str | None = option(
        None, "address of a Ray cluster to run the --ranks on (needs the extra cluster)"
    )


@dataclass(frozen=True)
class TrainingOptions:
    """Training options, shared by pretrain, finetune, tune, update and compress."""

    model: str | None = option(None, "architecture to train (see: aitk tasks)")
    from_: str | None = option(
        None, "pretrained weights: a run, a Keras Hub preset, a Hugging Face folder, a file"
    )
    epochs: int | None = option(
        None,
        "passes over the training split; the default depends on the model; 0 keeps the initial"
        " weights",
        minimum=0,
    )
    batch_size: int | None = option(None, "batch size; the default depends on the model", minimum=1)
    learning_rate: float | None = option(
        None, "peak learning rate; the default depends on the model", minimum=0.0, maximum=100.0
    )
    patience: int | None = option(
        None,
        "epochs without a better validation score before stopping; by default a quarter, at least 3"
        " and those of 50 steps",
        minimum=1,
    )
    max_minutes: float | None = option(None, "maximum training time in minutes", minimum=0.0)
    seed: int = option(0, "seed of weights, order and dropout", minimum=0, maximum=2**31 - 1)
    optimizer: str = option(
        "adamw",
        "update rule; schedule-free averages weights and needs no decay of the rate",
        choices=("adamw", "adam", "sgd", "muon", "schedule-free"),
        rare=True,
    )
    weight_decay: float = option(
        0.01, "decoupled weight decay (not for adam and sgd)", minimum=0.0, rare=True
    )
    warmup: float = option(0.06, "share of steps for warm-up", minimum=0.0, maximum=1.0, rare=True)
    schedule: str = option(
        "linear",
        "learning rate schedule after warm-up",
        choices=("linear", "cosine", "constant"),
        rare=True,
    )
    clip_norm: float | None = option(
        1.0, "maximum global gradient norm, or none", minimum=0.0, rare=True
    )
    ema: float | None = option(
        None,
        "evaluate and save a moving average of the weights with this momentum (0.99)",
        minimum=0.0,
        maximum=0.99999,
        rare=True,
    )
    private: bool = option(
        False,
        "train with differential privacy (DP-SGD): clip each row's gradient to --clip-norm, add"
        " noise, and bound what the weights can tell of one row by --epsilon",
        rare=True,
    )
    epsilon: float = option(
        8.0,
        "of --private: the most that one row may change",
        minimum=0.01,
        maximum=1000.0,
        rare=True,
    )
    delta: float = option(
        1e-5,
        "of --private: the probability that the bound fails, below 1 / rows",
        minimum=1e-12,
        maximum=0.1,
        rare=True,
    )
    accumulate: int = option(
        1, "gradient accumulation: batches per weight update", minimum=1, rare=True
    )
    balance: bool = option(False, "weight rows by the inverse frequency of their class", rare=True)
    rematerialize: bool = option(
        False,
        "compute the inside of blocks again for the gradient: less memory, more time",
        rare=True,
    )
    layer_decay: float | None = option(
        None,
        "layer-wise learning-rate decay, per layer from the head down"
        " (0.65 to 0.9 for pretrained weights)",
        minimum=0.0,
        maximum=1.0,
        rare=True,
    )
    freeze_epochs: int = option(
        0, "number of initial epochs that train only the head", minimum=0, rare=True
    )
    lora_rank: int | None = option(
        None, "rank of low-rank adapters (LoRA) of the backbone", minimum=1, rare=True
    )
    precision: str = option(
        "auto",
        "arithmetic; auto is bfloat16 on GPUs with support, and for large pretrained weights on"
        " CPUs that are measured to be faster with it; else float32",
        choices=("auto", "float32", "bfloat16", "float16"),
        rare=True,
    )
    save_minutes: float = option(
        2.0, "minutes between checkpoints for --resume", minimum=0.0, rare=True
    )
    devices: int | None = option(None, "number of GPUs; all by default", minimum=1, rare=True)


@dataclass(frozen=True)
class EvaluateOptions:
    """Rows and intervals of ``evaluate``."""

    data: str | None = option(None, "another prepared folder, or a raw file with labels")
    split: str = option(
        "test",
        "split to evaluate on (validation if there is no test)",
        choices=("train", "validation", "test"),
    )
    resamples: int = option(
        1000, "bootstrap resamples for confidence intervals; 0 for none", minimum=0
    )
    batch_size: int = option(32, "rows per batch", minimum=1)
    seed: int = option(0, "seed of the bootstrap", minimum=0, maximum=2**31 - 1)
    ensemble_with: str | None = option(
        None, "ensemble the class probabilities with another run of the same labels"
    )
    ensemble_weight: float = option(
        1.0, "weight of its log-probabilities, relative to 1", minimum=0.0
    )
    privacy: bool = option(
        False, "also attack the run: does the loss of a row show whether it was a training row?"
    )
    against: str | None = option(
        None,
        "with --privacy: attack this run of the same data too, such as one that is not private",
    )


@dataclass(frozen=True)
class CompressOptions:
    """Methods of ``compress``."""

    quantize: str = option(
        "none",
        "number format: int8 tries static, dynamic, int16 and float16 until one keeps the score;"
        " the others are used as given; weights (8 bits) and int4 round only what is stored",
        choices=("none", "int8", "static", "dynamic", "int16", "float16", "weights", "int4"),
    )
    format: str | None = option(
        None,
        "file format; by default litert with --quantize, else keras; onnx needs the extra onnx",
        choices=("keras", "litert", "onnx", "saved_model"),
    )
    prune: float | None = option(
        None, "share of weights set to zero, smallest magnitude first", minimum=0.0, maximum=0.99
    )
    prune_pattern: str = option(
        "any", "which weights --prune sets to zero: any, or two of every four that follow each"
        " other, for processors that skip them (then --prune 0.5)", choices=("any", "2:4"),
    )  # fmt: skip
    prune_channels: float | None = option(
        None,
        "share of channels removed from each inner convolution, smallest filters first",
        minimum=0.0,
        maximum=0.99,
    )
    prune_heads: float | None = option(
        None,
        "share of the heads taken out of attention, least important first",
        minimum=0.0,
        maximum=0.99,
    )
    prune_units: float | None = option(
        None,
        "share of the units taken out of feed-forward layers, least important first",
        minimum=0.0,
        maximum=0.99,
    )
    prune_layers: float | None = option(
        None,
        "share of the transformer blocks taken out, one by one, the least missed first",
        minimum=0.0,
        maximum=0.99,
    )
    prune_vocabulary: bool = option(
        False, "leave out the units of the vocabulary that no training row holds"
    )
    distill_pruned: bool = option(
        False, "a pruned model that is trained on also learns from the run's outputs"
    )
    distill: str | None = option(None, "train this smaller model on the outputs of the run")
    qat: int | None = option(
        None,
        "epochs of quantisation-aware training for --quantize int8 or static, of networks with"
        " convolutions",
        minimum=1,
    )
    distill_hidden: float | None = option(
        None,
        "also match the features of the student to those of the run, through a projection, with"
        " this weight in the loss",
        minimum=1e-6,
    )
    distill_sequences: bool = option(
        False,
        "the student learns the texts that the run writes, not its probabilities (always for"
        " nlp.translate)",
    )
    unlabelled: str | None = option(
        None,
        "file or folder of more rows for the student, without labels: it learns the outputs of the"
        " run for them",
    )
    max_drop: float | None = option(
        None,
        "maximum loss in the main metric (else exit 7); with --quantize int8 by default"
        " 0.01, or 1% of a metric such as perplexity",
        minimum=0.0,
    )
    max_bytes: int | None = option(
        None, "largest size of the model's file that is accepted (exit 7)", minimum=1
    )
    max_latency_ms: float | None = option(
        None, "longest median time of one row that is accepted (exit 7)", minimum=0.0
    )
    split: str = option("test", "split to measure the loss on", choices=("validation", "test"))
    calibration_rows: int = option(
        256,
        "training rows for int8 calibration and for the importance of heads and units",
        minimum=1,
    )
    resamples: int = option(1000, "bootstrap resamples for confidence intervals", minimum=0)


@dataclass(frozen=True)
class PredictOptions:
    """Reading and writing of ``predict``."""

    top_k: int | None = option(
        None, "predictions per row, best first; the default depends on the task", minimum=1
    )
    batch_size: int = option(32, "rows per batch", minimum=1)
    max_errors: int | None = option(None, "maximum number of failed rows", minimum=0)
    resume: bool = option(False, "continue after the last complete row of --out")
    raw_cells: bool = option(
        False, "write .csv cells unescaped, including those that a spreadsheet would evaluate"
    )
    draw: str | None = option(None, "also draw predictions as PNG files in this folder")
    ensemble_with: str | None = option(
        None, "ensemble the class probabilities with another run of the same labels"
    )
    ensemble_weight: float = option(
        1.0, "weight of its log-probabilities, relative to 1", minimum=0.0
    )


@dataclass(frozen=True)
class TuneOptions:
    """The search space and budget of ``tune``."""

    trials: int | None = option(
        None, "number of trials: 10, or with --minutes as many as fit", minimum=1
    )
    minutes: float | None = option(
        None, "time limit in minutes, including the last trial", minimum=0.01, maximum=1e6
    )
    models: list[str] = option(
        [],
        "models to search, or all: those trained from scratch, the default with --minutes"
        " and no --model",
    )
    space: list[str] = option(
        [],
        "search KEY=LOW..HIGH (log) or KEY=A,B,C, or MODEL.KEY=... for one model; default: learning"
        " rate, batch size and the ranges of the model's settings",
        keyed=True,
    )
    sampler: str = option("tpe", "sampler of settings", choices=("tpe", "random"))
    pruner: str = option(
        "asha",
        "stops trials early: the worse two thirds at 25% and 75% of the epochs (asha), those"
        " below the median (median), or none; never the default settings of a model",
        choices=("asha", "median", "none"),
    )
    workers: int = option(
        1, "processes on this machine; starting the same command again adds one", minimum=1,
        maximum=256,
    )  # fmt: skip


@dataclass(frozen=True)
class UpdateOptions:
    """Replay and acceptance of ``update``."""

    replay: float | None = option(
        None, "old rows replayed for each new one: 1, or 4 with --follow", minimum=0.0
    )
    max_drop: float = option(0.0, "maximum loss in the held-out score", minimum=0.0)
    force: bool = option(False, "write the run even if its score is worse")
    anchor: str = option(
        "none",
        "penalise changes of the weights: all equally (l2sp), or by their importance for the old"
        " rows (ewc)",
        choices=("none", "l2sp", "ewc"),
    )
    anchor_strength: float | None = option(
        None, "strength of this penalty, for importances with mean 1 [default: 0.01]", minimum=0.0
    )
    keep_if_better: bool = option(
        False, "treat --out as a folder of versions: add one, and make it current if it is better"
    )
    rollback: bool = option(False, "make the parent of the current version current")
    follow: bool = option(
        False,
        "learn from a growing file or stdin: each mini-batch is scored, then learned, and becomes"
        " a version",
    )
    every: int = option(200, "rows per mini-batch", minimum=1)
    seconds: float | None = option(
        None, "maximum duration of a mini-batch, whatever its rows", minimum=0.1
    )
    idle: float | None = option(
        None, "stop after this many seconds without rows; by default on Ctrl-C", minimum=0.0
    )
    drift: str = option(
        "adwin", "drift detector for scores and inputs",
        choices=("adwin", "page-hinkley", "none"),
    )  # fmt: skip
    without_labels: bool = option(
        False, "the new rows have no labels, such as recordings of a new speaker: adapt the model"
        " to them without replay (SHOT); classes should be about equally frequent",
    )  # fmt: skip


@dataclass(frozen=True)
class ExplainOptions:
    """Rows and target of ``explain``."""

    rows: int = option(20, "number of rows to explain", minimum=1)
    target: str | None = option(None, "explain this label instead of the predicted one")
    neighbours: int = option(
        0, "number of nearest training rows to find for each row, by the run's encoder", minimum=0
    )
