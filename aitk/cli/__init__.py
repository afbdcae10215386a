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
#: Stages that only one domain has.
OWN_STAGES = {"speech": ("record",), "vision": ("export",)}
QUESTIONS = ("tasks", "doctor", "init", "compare", "demo")
