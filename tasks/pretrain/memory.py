"""The memory that a training step takes on each device, predicted before it starts.

What is counted: weights, their gradients, AdamW's two moments, and the activations of one part of a step: see
`bio_xlstm.tasks.pretrain.activations`. `benchmarks/training_memory.py` holds the prediction against what is measured.
"""

from math import ceil
from typing import NamedTuple

from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.activations import Reading, activation_bytes
from bio_xlstm.tasks.pretrain.room import Room, find_room
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings
from bio_xlstm.tasks.progress import size

# only a prediction that is this far above a device's memory is refused: the prediction may be a quarter too high
_CERTAIN, _TIGHT = 1.25, 0.9
_SMALLER = "make it smaller (dim, blocks), or divide it over GPUs (strategy fsdp)"
_REMEDY = "lower batch_tokens, raise accumulate (--accumulate), or compute blocks again (--checkpoint-blocks)"


class Memory(NamedTuple):
    """Say what one device needs, in bytes, and what it has."""

    weights: int
    gradients: int
    moments: int
    activations: int
    tokens: int
    """Tokens computed at once."""
    room: Room

    @property
    def total(self) -> int:
        """Return all that the device needs."""
        return self.model + self.activations

    @property
    def model(self) -> int:
        """Return what the model takes however few tokens it reads, which is certain."""
        return self.weights + self.gradients + self.moments

    def line(self) -> str:
        """Describe the need."""
        needs = ", ".join(
            f"{name} {size(getattr(self, name))}"
            for name in ("weights", "gradients", "moments", "activations")
        )
        line = f"about {size(self.total)} on {self.room.where} ({needs} of {self.tokens:,} tokens at once)"
        return f"{line}; {size(self.room.free)} free" if self.room.free else line

    def check(self) -> str:
        """Return a warning where the memory may not suffice, "" elsewhere; ConfigError where it cannot."""
        room = self.room
        if room.whole and self.model > room.whole:
            raise ConfigError(
                f"weights, gradients and moments alone need about {size(self.model)} on {room.where}, which has "
                f"{size(room.whole)}: {_SMALLER}"
            )
        if room.whole and self.total > _CERTAIN * room.whole:
            raise ConfigError(
                f"the run needs about {size(self.total)} on {room.where}, which has {size(room.whole)}: {_REMEDY}"
            )
        if room.free and self.total > _TIGHT * room.free:
            return (
                f"memory may not suffice: about {size(self.total)} needed on {room.where}, {size(room.free)} free; "
                f"{_REMEDY}"
            )
        return ""


def check_size(model: SequenceModel, training: TrainingSettings) -> None:
    """Refuse a model whose training takes more memory than there is, before it has any weights."""
    _of_model(model, training).check()


def predict_memory(model: SequenceModel, recipe: Recipe, length: float) -> Memory:
    """Predict what a recipe takes with sequences of a mean length, in tokens; the model needs no weights yet."""
    training, window = recipe.training, recipe.data.longest_window
    memory, tokens = _of_model(model, training), tokens_at_once(training, window)
    reading = Reading(min(length, window), window, on_cpu=memory.room.cpu)
    activations = int(activation_bytes(model.config, training, reading) * tokens)
    return memory._replace(activations=activations, tokens=tokens)


def _of_model(model: SequenceModel, training: TrainingSettings) -> Memory:
    """Count what does not depend on the data."""
    count, wide = model.parameter_count, 8 if training.precision == "64-true" else 4
    shard, gathered = count, 0
    if training.strategy == "fsdp":
        # two blocks are put together at a time
        block = max(sum(weight.numel() for weight in part.parameters()) for part in model.blocks)
        shard, gathered = ceil(count / training.processes), min(2 * block, count)
    # autocast keeps a copy of every matrix in half precision
    copies = 2 * count if training.precision.endswith("mixed") else 0
    return Memory(
        weights=(shard + gathered) * wide + copies,
        gradients=(shard + gathered) * wide,
        moments=2 * shard * wide,
        activations=0,
        tokens=0,
        room=find_room(training),
    )


def tokens_at_once(training: TrainingSettings, window: int) -> int:
    """Return the most tokens of a part; parts hold whole windows, so that they are not all of one size."""
    share = ceil(training.batch_tokens / training.parts)
    return share if training.parts == 1 else min(training.batch_tokens, max(window, share) + window // 2)
