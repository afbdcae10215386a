"""The commands, one file each: their options and their output."""

STAGES = (
    "prepare",
    "pretrain",
    "finetune",
    "evaluate",
    "compress",
    "predict",
    "tune",
    "update",
    "explain",
)
#: Commands without a domain.
GENERAL = ("tasks", "doctor", "init", "compare", "join", "demo")
