"""Reading and writing sequences token by token: many at once, each on its own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.arithmetic import computing_dtype
from bio_xlstm.kernels.choice import resolve
from bio_xlstm.kernels.decode import DecodeCache, Windows, allocate, prepare
from bio_xlstm.kernels.decode.dispatch import BACKENDS
from bio_xlstm.kernels.decode.torch_stack import TorchStack
from bio_xlstm.kernels.decode.weights import LayerWeights, StackWeights
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.layers.block import Block
from bio_xlstm.layers.mlstm import LayerState, check_plain
from bio_xlstm.layers.projection import Projection
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState

Stack = Callable[[Tensor, Tensor], Tensor]
Ids = Tensor | Sequence[int]


class Decoder:
    """Read one token per step for up to `slots` independent sequences of a causal model.

    A slot holds one sequence: stepping some slots leaves the others as they are, a cleared slot starts a new
    sequence. Compiled for the CPU, a slot's logits do not depend on the other slots, bit for bit; torch's products
    round differently for other numbers of rows (1e-6 relative in float32).

    The weights are copied once: what is written to the model later changes nothing here, make another Decoder.
    Adapters belong into the weights (`torch.nn.utils.parametrize`): replaced modules and hooks are refused. A Decoder
    cannot be copied or pickled; `state` and `load` carry sequences from one to another. Half-precision models are
    computed in float32 where the processor has no arithmetic of their kind.

    Args:
        model: a causal model of mLSTM blocks.
        slots: how many sequences can be held at once, a positive whole number.
        backend: "auto", "torch", "numba" or "triton".
        windows: how many tokens wait before they are folded into the matrix memory, by cost when None; positive
            whole numbers, no result depends on them.

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
                f"{model.name} reads {model.config.direction}: only causal models can be read token by token"
            )
        _check_modules(model)
        config, self.device = model.config, model.device
        self.model_dtype, self.model_hash = model.embedding.weight.dtype, model.weight_hash()
        self.vocabulary = config.vocabulary
        dtype = computing_dtype(self.model_dtype, self.device)
        weights = _stack_weights(model, dtype)
        state_dtype = torch.promote_types(dtype, torch.float32)
        # the model itself rounds keys and values to bfloat16, so a window of bfloat16 keeps all there is to keep
        window_dtype = torch.bfloat16 if self.model_dtype == torch.bfloat16 else state_dtype
        self.caches = [
            allocate(
                slots,
                config.heads,
                config.inner,
                config.conv_width,
                device=self.device,
                dtype=state_dtype,
                window_dtype=window_dtype,
                windows=windows,
            )
            for _ in weights.layers
        ]
        slots = self.slots = len(self.caches[0].conv)
        self.position = torch.zeros(slots, dtype=torch.int64, device=self.device)
        self._all = torch.arange(slots, device=self.device)
        self._stack = _choose_stack(weights, self.caches, backend, slots, self.device)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be copied or pickled: compiled loops and CUDA graphs hold on to this decoder's memory."""
        raise TypeError(
            "a Decoder cannot be copied or pickled: make another of the same model and load the state into it"
        )

    @torch.no_grad()
    def step(self, tokens: Ids, slots: Ids | None = None) -> Tensor:
        """Read tokens (n,) into slots (n,), all of them when None; return logits (n, vocabulary) float32.

        Tokens and slots are whole numbers in a tensor, on any device, or in a list. ValueError refuses tokens or slots
        that do not exist and a slot named twice.
        """
        places = self._check_slots(slots)
        read = self._check_tokens(tokens, len(places))
        # autocast would round what is computed in the dtype of the weights
        with torch.autocast(self.device.type, enabled=False):
            logits = self._stack(read, places)
        self.position[places] += 1
        return logits

    @torch.no_grad()
    def load(self, slots: Ids | None, state: ModelState) -> None:
        """Continue the sequences of a state in slots (n,), in all of them when None.

        ModelError refuses the state of another model or of another number of sequences, before anything is changed.
        """
        places = self._check_slots(slots)
        self._check_state(state, len(places))
        for cache, block in zip(self.caches, state.blocks, strict=True):
            cache.load(places, block.mlstm, block.conv)
        self.position[places] = state.position.to(self.position)

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
        if len(state.blocks) != len(self.caches):
            raise ModelError(
                f"the state was made by another model: it has {len(state.blocks)} blocks, "
                f"this decoder's model {len(self.caches)}"
            )
        for number, (cache, block) in enumerate(zip(self.caches, state.blocks, strict=True), start=1):
            misfit = cache.find_misfit(count, block.mlstm, block.conv)
            if misfit:
                raise ModelError(f"the state was made by another model: in block {number} {misfit}")

    @torch.no_grad()
    def state(self, slots: Ids | None = None) -> ModelState:
        """Return what is remembered of slots (n,), as `SequenceModel.forward` takes and gives it."""
        places = self._check_slots(slots)
        blocks = []
        with torch.autocast(self.device.type, enabled=False):
            for cache in self.caches:
                memory, conv = cache.read(places)
                blocks.append(LayerState(memory, conv.to(self.model_dtype)))
        return ModelState(tuple(blocks), self.position[places], self.model_hash)

    @torch.no_grad()
    def clear(self, slots: Ids | None = None) -> None:
        """Start new sequences in slots (n,), in all of them when None."""
        places = self._check_slots(slots)
        for cache in self.caches:
            cache.clear(places)
        self.position[places] = 0

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
            if low < 0 or high >= self.vocabulary:
                wrong = low if low < 0 else high
                raise ValueError(f"token id {wrong} is not in the vocabulary of {self.vocabulary}")
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


def _check_modules(model: SequenceModel) -> None:
    """Refuse a model whose modules do more than their weights say, for weights are all that a decoder reads."""
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise ConfigError(f"{name or 'the model'} has forward hooks, which a Decoder would leave out")
    maps = {"embedding": nn.Embedding, "norm": nn.LayerNorm, "head": Projection}
    for number in range(len(model.blocks)):
        maps |= {f"blocks.{number}.norm": nn.LayerNorm}
        maps |= {f"blocks.{number}.mixer.{part}": Projection for part in ("up", "down")}
    for name, kind in maps.items():
        check_plain(name, model.get_submodule(name), kind)


def _stack_weights(model: SequenceModel, dtype: torch.dtype) -> StackWeights:
    """Collect a model's weights in one dtype."""

    def cast(weight: Tensor) -> Tensor:
        return weight.detach().to(dtype, copy=True)

    def maybe(weight: Tensor | None) -> Tensor | None:
        return None if weight is None else cast(weight)

    layers = []
    for block in model.blocks:
        assert isinstance(block, Block)
        mixer = block.mixer
        between = MixerWeights(*map(maybe, mixer.weights()))  # type: ignore[arg-type]
        layers.append(
            LayerWeights(
                cast(block.norm.weight),
                cast(mixer.up.weight),
                maybe(mixer.up.bias),
                prepare(between),
                cast(mixer.down.weight),
                maybe(mixer.down.bias),
            )
        )
    outer = (model.embedding.weight, model.norm.weight, model.head.weight)
    embedding, norm, head = map(cast, outer)
    return StackWeights(embedding, layers, norm, head, model.config.norm_eps)


def _choose_stack(
    weights: StackWeights, caches: list[DecodeCache], backend: str, slots: int, device: torch.device
) -> Stack:
    """Return what reads a token: compiled as a whole on the CPU, as a CUDA graph on a GPU, otherwise in torch."""
    dtype = weights.head.dtype
    name = resolve("decode_step", backend, BACKENDS, device, caches[0].c.dtype).backend
    packed = all(layer.mixer.packed is not None for layer in weights.layers)
    if name == "numba" and packed and device.type == "cpu" and dtype == torch.float32:
        from bio_xlstm.kernels.decode.numba_stack import NumbaStack

        # the window of a bfloat16 model is in bfloat16, and its weights lose nothing there
        return NumbaStack(weights, caches, half=caches[0].keys.dtype == torch.bfloat16)
    stack = TorchStack(weights, caches, name)
    if name == "triton" and packed and device.type == "cuda":
        from bio_xlstm.kernels.decode.graph import GraphedStack

        return GraphedStack(stack, slots, device)
    return stack
