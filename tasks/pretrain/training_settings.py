"""What a recipe says about its training: optimiser, devices, looks at held-out data."""

from dataclasses import dataclass
from math import isfinite

from bio_xlstm.errors import ConfigError

SCHEDULES = ("cosine", "constant")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")
STRATEGIES = ("auto", "ddp", "fsdp")
ACCELERATORS = ("auto", "cpu", "gpu", "mps")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Describe the optimisation of a run."""

    steps: int
    """Updates of the weights."""
    batch_tokens: int = 8192
    """Upper bound on the tokens of a step, all devices and parts together."""
    accumulate: int = 1
    """Parts into which every device divides its share of a step; more parts take less memory and give the same
    gradient."""
    max_minutes: float = 0.0
    """Stop after this wall-clock time even if steps are left (0: never)."""
    learning_rate: float = 4e-3
    final_learning_rate: float = 1e-4
    """Where the cosine schedule ends."""
    warmup: int = 100
    """Steps over which the learning rate rises from zero; a recipe that does not say so has a tenth of its steps where
    that is less."""
    schedule: str = "cosine"
    """What the learning rate does after the warm-up: cosine or constant."""
    weight_decay: float = 0.1
    """Decay of matrices; norms, skips, biases, gates and embeddings do not decay."""
    clip: float = 1.0
    """Largest norm of the gradient of a step (0: any)."""
    betas: tuple[float, float] = (0.9, 0.95)
    seed: int = 0
    """Seed of weights, data order and dropout."""
    precision: str = "32-true"
    """Numeric precision in Lightning's words: 32-true, bf16-mixed, 16-mixed or 64-true."""
    devices: int = 1
    """GPUs, or processes on a CPU, of every machine."""
    nodes: int = 1
    """Machines."""
    strategy: str = "auto"
    """How several devices share the work: each with the whole model (ddp, which auto means) or with a shard of
    weights, gradients and moments (fsdp)."""
    accelerator: str = "auto"
    """Where to train: auto, cpu, gpu or mps."""
    checkpoint_blocks: bool = False
    """Whether the inside of blocks is computed again for the gradient instead of being kept."""
    workers: int = 0
    """Processes per device that prepare batches (0: the one that trains)."""
    threads: int = 0
    """CPU threads (0: what torch chooses)."""
    log_every: int = 20
    """Steps between two lines of the log."""
    tensorboard: bool = False
    """Whether the log is written for TensorBoard too."""
    validate_every: int = 500
    """Steps between two looks at held-out data."""
    validation_tokens: int = 32768
    """Held-out tokens of every domain used while training (0: all)."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""

    def __post_init__(self) -> None:
        for name, known in _WORDS.items():
            _require(getattr(self, name) in known, f"{name} must be one of {', '.join(known)}", self, name)
        for name, least in _LEAST.items():
            _require(getattr(self, name) >= least, f"{name} must be at least {least}", self, name)
        _require(self.learning_rate > 0, "learning_rate must be positive", self, "learning_rate")
        for name in _FINITE:
            _require(isfinite(getattr(self, name)), f"{name} must be a finite number", self, name)
            _require(getattr(self, name) <= _MOST, f"{name} must be at most {_MOST:g}", self, name)
        pair = [beta for beta in self.betas if isinstance(beta, int | float) and 0 <= beta < 1]
        _require(
            len(pair) == 2 == len(self.betas), "betas must be two numbers from 0 to below 1", self, "betas"
        )
        if self.strategy == "fsdp" and self.precision == "64-true":
            raise ConfigError("[training] precision 64-true does not go with strategy fsdp; use ddp")

    @property
    def processes(self) -> int:
        """Return how many processes train together."""
        return self.devices * self.nodes

    @property
    def parts(self) -> int:
        """Return into how many parts the tokens of a step are divided."""
        return self.processes * self.accumulate


# settings that take one of a few words
_WORDS = {
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "strategy": STRATEGIES,
    "accelerator": ACCELERATORS,
}
_FINITE = ("learning_rate", "final_learning_rate", "weight_decay", "clip", "max_minutes")
# what float32 holds with room for the steps of an optimiser
_MOST = 1e30
_LEAST = {
    "steps": 1,
    "accumulate": 1,
    "devices": 1,
    "nodes": 1,
    "log_every": 1,
    "validate_every": 1,
    "checkpoint_every": 1,
    "warmup": 0,
    "workers": 0,
    "threads": 0,
    "max_minutes": 0,
    "clip": 0,
    "weight_decay": 0,
    "final_learning_rate": 0,
    "validation_tokens": 0,
    "seed": 0,
}


def _require(condition: bool, message: str, settings: TrainingSettings, name: str) -> None:
    if not condition:
        raise ConfigError(f"[training] {message}, not {getattr(settings, name)!r}")
