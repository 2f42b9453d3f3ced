"""The door to decoding: slots, tokens and states are checked here."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bio_xlstm.decoding.fused import FusedReader, can_fuse
from bio_xlstm.decoding.plain import PlainReader
from bio_xlstm.decoding.reader import SlotReader
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.choice import check_backend
from bio_xlstm.kernels.decode import Windows
from bio_xlstm.kernels.decode.cache import MOST
from bio_xlstm.kernels.decode.counts import whole_number
from bio_xlstm.kernels.decode.dispatch import BACKENDS
from bio_xlstm.kernels.decode.window import check_windows
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.models.placing import Placed, place_tokens
from bio_xlstm.positions import Places
from bio_xlstm.state import ModelState

Ids = Tensor | Sequence[int]


class Decoder:
    """Read one token per step for up to `slots` independent sequences of a causal model.

    A slot holds one sequence: stepping some slots leaves the others as they are, a cleared slot starts a new
    sequence. Stacks of pre_up mLSTM blocks go through the decoding kernels: compiled for the CPU, a slot's logits do
    not depend on the other slots, bit for bit. All other causal models go through their layers, more slowly; there,
    and in torch's products, other numbers of rows round differently (1e-6 relative in float32).

    The weights are copied once: what is written to the model later changes nothing here, make another Decoder.
    Adapters belong into the weights (`torch.nn.utils.parametrize`): kernels read nothing else, so that replaced
    modules and hooks are refused with them. A Decoder cannot be copied or pickled; `state` and `load` carry sequences
    from one to another. Half-precision models are computed in float32 where the processor has no arithmetic of their
    kind.

    Args:
        model: a causal model.
        slots: how many sequences can be held at once, a positive whole number.
        backend: "auto", "torch", "numba" or "triton".
        windows: how many tokens the decoding kernels let wait before they fold them into the matrix memory, by cost
            when None; positive whole numbers, no result depends on them.

    Raises:
        ConfigError: the model cannot be read token by token, or its modules were replaced or hooked.
        ValueError: the model is none, or slots, windows or the backend do not fit.

    Example:
        >>> import bio_xlstm as bx, torch
        >>> decoder = Decoder(bx.build("chem", dim=32, blocks=2, heads=2), slots=4)
        >>> decoder.step([1, 1], slots=[0, 3]).shape[0]
        2
    """

    # buffers made in inference mode could not be written to outside of it
    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self, model: SequenceModel, slots: int, backend: str = "auto", windows: Windows | None = None
    ) -> None:
        if not isinstance(model, SequenceModel):
            raise ValueError(
                f"model must be a model, as bio_xlstm.load returns it, not {type(model).__name__}"
            )
        if not model.causal:
            raise ConfigError(
                f"{model.name} {model.config.sight}: only causal models can be read token by token"
            )
        if windows is not None:
            check_windows(windows)
        check_backend("decode_step", backend, BACKENDS, model.device)
        self.slots = whole_number("slots", slots, MOST)
        self.config, self.tokenizer, self.device = model.config, model.tokenizer, model.device
        self.model_hash = model.weight_hash()
        fused = can_fuse(model)
        self.reader: SlotReader = (
            FusedReader(model, self.slots, backend, windows)
            if fused
            else PlainReader(model, self.slots, backend)
        )
        self.position = torch.zeros(self.slots, dtype=torch.int64, device=self.device)
        self.places = Places(torch.zeros_like(self.position), torch.zeros_like(self.position))
        self._all = torch.arange(self.slots, device=self.device)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be copied or pickled: compiled loops and CUDA graphs hold on to this decoder's memory."""
        raise TypeError(
            "a Decoder cannot be copied or pickled: make another of the same model and load the state into it"
        )

    @torch.no_grad()
    def step(self, tokens: Ids, slots: Ids | None = None, positions: Ids | None = None) -> Tensor:
        """Read tokens (n,) into slots (n,), all of them when None; return logits (n, vocabulary) float32.

        Tokens and slots are whole numbers in a tensor, on any device, or in a list. Models with positions read them
        from the tokens unless `positions` (n,) says where they stand. ValueError refuses tokens or slots that do not
        exist and a slot named twice.
        """
        numbers = self._check_slots(slots)
        read = self._check_tokens(tokens, len(numbers))
        placed = self._place(read, numbers, positions)
        # autocast would round what is computed in the dtype of the weights
        with torch.autocast(self.device.type, enabled=False):
            logits = self.reader.step(read, numbers, placed)
        self.position[numbers] += 1
        if placed is not None:
            for held, after in zip(self.places, placed.after, strict=True):
                held[numbers] = after
        return logits

    @torch.no_grad()
    def load(self, slots: Ids | None, state: ModelState) -> None:
        """Continue the sequences of a state in slots (n,), in all of them when None.

        ModelError refuses the state of another model or of another number of sequences, before anything is changed.
        """
        numbers = self._check_slots(slots)
        self._check_state(state, len(numbers))
        self.reader.load(numbers, state.blocks)
        self.position[numbers] = state.position.to(self.position)
        if state.places is not None:
            for held, given in zip(self.places, state.places, strict=True):
                held[numbers] = given.to(held)

    def _check_state(self, state: ModelState, count: int) -> None:
        """Refuse what this decoder cannot continue from."""
        if not isinstance(state, ModelState):
            raise ValueError(f"state must be a ModelState, not {type(state).__name__}")
        if state.model_hash and state.model_hash != self.model_hash:
            raise ModelError(
                f"the state was made by another model (hash {state.model_hash[:12]}); "
                f"this decoder reads with hash {self.model_hash[:12]}"
            )
        if len(state) != count:
            raise ModelError(f"the state holds {len(state)} sequences, but {count} slots are to be filled")
        # a state made in training carries no hash
        if len(state.blocks) != self.config.blocks:
            raise ModelError(
                f"the state was made by another model: it has {len(state.blocks)} blocks, "
                f"this decoder's model {self.config.blocks}"
            )
        misfit = self.reader.find_misfit(count, state.blocks)
        if misfit:
            raise ModelError(f"the state was made by another model: {misfit}")

    @torch.no_grad()
    def state(self, slots: Ids | None = None) -> ModelState:
        """Return what is remembered of slots (n,), as `SequenceModel.forward` takes and gives it."""
        numbers = self._check_slots(slots)
        with torch.autocast(self.device.type, enabled=False):
            blocks = self.reader.state(numbers)
        places = Places(*(held[numbers] for held in self.places)) if self.config.positioned else None
        return ModelState(blocks, self.position[numbers], self.model_hash, places)

    @torch.no_grad()
    def clear(self, slots: Ids | None = None) -> None:
        """Start new sequences in slots (n,), in all of them when None."""
        numbers = self._check_slots(slots)
        self.reader.clear(numbers)
        for held in (self.position, *self.places):
            held[numbers] = 0

    def _place(self, tokens: Tensor, slots: Tensor, positions: Ids | None) -> Placed | None:
        """Return where tokens (n,) stand, None where that makes no difference."""
        if not self.config.positioned:
            return None
        places = Places(*(held[slots] for held in self.places))
        before = ModelState((), self.position[slots], self.model_hash, places)
        given = None
        if positions is not None:
            given = _as_ids("positions", str(len(slots)), positions).to(self.device)[:, None]
        return place_tokens(self.config, self.tokenizer, tokens[:, None], None, before, given, None)

    def _check_slots(self, slots: Ids | None) -> Tensor:
        """Return the slots that are meant, on the device of the model."""
        if slots is None:
            return self._all
        found = _as_ids("slots", "n", slots)
        # on a GPU the look at the values would make every call wait for the one before
        if found.device.type == "cpu":
            named = found.tolist()
            if min(named) < 0 or max(named) >= self.slots:
                raise ValueError(f"slots must be from 0 to {self.slots - 1}, not {named}")
            if len(set(named)) < len(named):
                raise ValueError(f"a slot is named twice: {named}")
        return found.to(self.device)

    def _check_tokens(self, tokens: Ids, count: int) -> Tensor:
        """Return the tokens, one for each slot, on the device of the model."""
        found = _as_ids("tokens", str(count), tokens)
        if len(found) != count:
            raise ValueError(f"tokens must be ({count},) whole numbers, one per slot, not ({len(found)},)")
        if found.device.type == "cpu":
            low, high = int(found.min()), int(found.max())
            if low < 0 or high >= self.config.vocabulary:
                wrong = low if low < 0 else high
                raise ValueError(f"token id {wrong} is not in the vocabulary of {self.config.vocabulary}")
        return found.to(self.device)


def _as_ids(name: str, length: str, given: Ids) -> Tensor:
    """Return whole numbers as (n,) int64; ValueError refuses what is none, or no list of them."""
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be ({length},) whole numbers, not {given!r}: {error}") from None
    whole = not (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool)
    if found.ndim != 1 or not len(found) or not whole:
        raise ValueError(
            f"{name} must be ({length},) whole numbers, at least one, not {tuple(found.shape)} {found.dtype}"
        )
    return found.to(torch.int64)
