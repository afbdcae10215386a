"""The commands: one file each, their options, and what a person sees of them."""

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
#: Commands of no domain.
GENERAL = ("tasks", "doctor", "init", "compare", "join", "demo")
