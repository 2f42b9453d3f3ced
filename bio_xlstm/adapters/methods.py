"""The ways to adapt a model, and what each of them trains."""

from typing import NamedTuple

from torch import nn

from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.adapters.low_rank import RANK, add_low_rank
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel

METHODS = ("head", "lora", "state", "full")


class Adapted(NamedTuple):
    """Name the weights of a model that are to be trained, and the state it begins with where that is one of them."""

    parameters: list[nn.Parameter]
    state: InitialState | None = None


def adapt(model: SequenceModel, method: str, *, rank: int = RANK, seed: int = 0) -> Adapted:
    """Freeze a model but for what a method trains: nothing (head), low-rank changes, an initial state, or all of it.

    ConfigError names a method that does not exist, or that the model is not made for.
    """
    if method not in METHODS:
        raise ConfigError(f"--method must be one of {', '.join(METHODS)}, not {method!r}")
    model.requires_grad_(False)
    if method == "lora":
        return Adapted(add_low_rank(model, rank, seed=seed))
    if method == "state":
        state = InitialState(model)
        return Adapted(list(state.parameters()), state)
    if method == "full":
        # the language model's own head is not asked
        parts = [part for name, part in model.named_parameters() if not name.startswith("head.")]
        for part in parts:
            part.requires_grad_(True)
        return Adapted(parts)
    return Adapted([])
