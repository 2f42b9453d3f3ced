"""The words that options of `finetune` take: written once, without a heavy import."""

METHODS = ("head", "lora", "state", "full")
SPLITS = ("random", "scaffold", "cluster", "column")
TASKS = ("regression", "binary", "multiclass", "multilabel", "ranking", "per_token")
HEADS = ("auto", "linear", "radial")
WEIGHTINGS = ("none", "balanced")
CALIBRATIONS = ("temperature", "isotonic", "none")
