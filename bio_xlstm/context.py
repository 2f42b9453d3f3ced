"""What a causal model reads before a sequence: homologs, or molecules of one kind, laid out as in training."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bio_xlstm.embedding import encode_listed
from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.layers.state import layer_state
from bio_xlstm.models.weight_hash import hash_in
from bio_xlstm.positions import Places
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


def encode_context(model: "SequenceModel", records: Iterable[Any], *, batch_tokens: int = 8192) -> ModelState:
    """Read records (or strings) one after the other and return the memory of them, a state of one sequence.

    The sequence that is scored or drawn from it comes after them, as the last of a set does in training. SequenceError
    names a member that cannot be read, ModelError a model that reads no context.

    >>> import bio_xlstm as bx
    >>> len(encode_context(bx.load("chem-small"), ["CCO", "CCN"]))
    1
    """
    texts = [getattr(record, "text", record) for record in records]
    members = [encode_listed(model, index, text) for index, text in enumerate(texts)]
    return read_context(model, members, batch_tokens=batch_tokens)


@torch.inference_mode()
def read_context(model: "SequenceModel", members: Sequence[np.ndarray], *, batch_tokens: int) -> ModelState:
    """Read members as bare ids; a long context streams through the state."""
    if not model.causal:
        raise ModelError(f"{model.name} {model.config.sight}: it reads no context")
    if not members:
        raise SequenceError("a context holds at least one sequence")
    tokens = torch.from_numpy(context_tokens(model.tokenizer, members))[None].to(model.device)
    state: ModelState | None = None
    for begin in range(0, tokens.shape[1], batch_tokens):
        state = model(tokens[:, begin : begin + batch_tokens], state=state).state
    assert state is not None
    return state


def load_context(model: "SequenceModel", path: str | Path) -> ModelState:
    """Load the memory of one context from a state file; ModelError where it is not one of this model."""
    state = ModelState.load(path, model.device)
    if state.model_hash != model.weight_hash():
        made = _dtype_of(state, model)
        if made is not None:
            raise ModelError(
                f"{path} was made by {model.name} in {made}, which is in {_name(model.dtype)} here"
            )
        raise ModelError(
            f"{path} was made by another model (hash {state.model_hash[:12]}); "
            f"{model.name} has hash {model.weight_hash()[:12]} in {_name(model.dtype)}"
        )
    if len(state) != 1:
        raise ModelError(f"{path} holds {len(state)} sequences; a context is one")
    return state


def _dtype_of(state: ModelState, model: "SequenceModel") -> str | None:
    """Return the dtype in which these weights made a state, None where they cannot have made it."""
    lower = (torch.bfloat16, torch.float16) if model.dtype == torch.float32 else ()
    found = (dtype for dtype in lower if hash_in(model, model.config, dtype) == state.model_hash)
    return next(map(_name, found), None)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def on_device(state: ModelState, device: torch.device) -> ModelState:
    """Return a state on a device."""
    if state.position.device == device:
        return state
    blocks = tuple(
        layer_state({name: part.to(device) for name, part in block.tensors().items()})
        for block in state.blocks
    )
    places = None if state.places is None else Places(*(part.to(device) for part in state.places))
    return ModelState(blocks, state.position.to(device), state.model_hash, places)


def context_tokens(tokenizer: Tokenizer, members: Sequence[np.ndarray]) -> np.ndarray:
    """Frame members and join them, (T,) int64; where the stop is the start, the next start stands for it."""
    start = [] if tokenizer.start is None else [tokenizer.start]
    stop = [] if tokenizer.stop in (None, tokenizer.start) else [tokenizer.stop]
    return np.concatenate([np.concatenate((start, ids, stop)).astype(np.int64) for ids in members])
