"""Reading and writing sequences token by token: many at once, each on its own."""

from collections.abc import Callable

import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.choice import automatic, choose_backend
from bio_xlstm.kernels.decode import DecodeCache, Windows, allocate, prepare
from bio_xlstm.kernels.decode.dispatch import BACKENDS
from bio_xlstm.kernels.decode.torch_stack import TorchStack
from bio_xlstm.kernels.decode.weights import LayerWeights, StackWeights
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.layers.block import Block
from bio_xlstm.layers.mlstm import LayerState
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState

Stack = Callable[[Tensor, Tensor], Tensor]


class Decoder:
    """Read one token per step for up to `slots` independent sequences of a causal model.

    A slot holds one sequence: stepping some slots leaves the others as they are, a cleared slot starts a new
    sequence. Compiled for the CPU, a slot's logits do not depend on the other slots, bit for bit; torch's products
    round differently for other numbers of rows (1e-6 relative in float32).

    The weights are read once: make another Decoder when they have changed. Half-precision models are computed in
    float32 where the processor has no arithmetic of their kind.

    Args:
        model: a causal model of mLSTM blocks.
        slots: how many sequences can be held at once.
        backend: "auto", "torch", "numba" or "triton".
        windows: how many tokens wait before they are folded into the matrix memory, by cost when None; no result
            depends on it.

    Raises:
        ConfigError: the model cannot be read token by token.
        ValueError: slots or the backend do not fit.

    Example:
        >>> import bio_xlstm as bx, torch
        >>> decoder = Decoder(bx.build("chem", dim=32, blocks=2, heads=2), slots=4)
        >>> decoder.step(torch.tensor([1, 1]), torch.tensor([0, 3])).shape[0]
        2
    """

    # buffers made in inference mode could not be written to outside of it
    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self, model: SequenceModel, slots: int, backend: str = "auto", windows: Windows | None = None
    ) -> None:
        if not model.causal:
            raise ConfigError(
                f"{model.name} reads {model.config.direction}: only causal models can be read token by token"
            )
        if slots < 1:
            raise ValueError(f"slots must be a positive whole number, not {slots}")
        config, self.device = model.config, model.device
        self.model_dtype, self.model_hash = model.embedding.weight.dtype, model.weight_hash()
        self.vocabulary, self.slots = config.vocabulary, slots
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
        self.position = torch.zeros(slots, dtype=torch.int64, device=self.device)
        self._all = torch.arange(slots, device=self.device)
        self._stack = _choose_stack(weights, self.caches, backend, slots, self.device)

    @torch.no_grad()
    def step(self, tokens: Tensor, slots: Tensor | None = None) -> Tensor:
        """Read tokens (n,) int64 into slots (n,), all of them when None; return logits (n, vocabulary) float32.

        ValueError refuses tokens or slots that do not exist and a slot named twice.
        """
        slots = self._check_slots(slots)
        self._check_tokens(tokens, len(slots))
        logits = self._stack(tokens.long(), slots)
        self.position[slots] += 1
        return logits

    @torch.no_grad()
    def load(self, slots: Tensor, state: ModelState) -> None:
        """Continue the sequences of a state in slots (n,); ModelError refuses the state of another model."""
        slots = self._check_slots(slots)
        if state.model_hash and state.model_hash != self.model_hash:
            raise ModelError(
                f"the state was made by another model (hash {state.model_hash[:12]}); "
                f"this decoder reads with hash {self.model_hash[:12]}"
            )
        if len(state) != len(slots):
            raise ModelError(
                f"the state holds {len(state)} sequences, but {len(slots)} slots are to be filled"
            )
        for cache, block in zip(self.caches, state.blocks, strict=True):
            cache.load(slots, block.mlstm, block.conv)
        self.position[slots] = state.position.to(self.device)

    @torch.no_grad()
    def state(self, slots: Tensor | None = None) -> ModelState:
        """Return what is remembered of slots (n,), as `SequenceModel.forward` takes and gives it."""
        slots = self._check_slots(slots)
        blocks = []
        for cache in self.caches:
            memory, conv = cache.read(slots)
            blocks.append(LayerState(memory, conv.to(self.model_dtype)))
        return ModelState(tuple(blocks), self.position[slots], self.model_hash)

    @torch.no_grad()
    def clear(self, slots: Tensor | None = None) -> None:
        """Start new sequences in slots (n,), in all of them when None."""
        slots = self._check_slots(slots)
        for cache in self.caches:
            cache.clear(slots)
        self.position[slots] = 0

    def _check_slots(self, slots: Tensor | None) -> Tensor:
        """Return the slots that are meant, on the device of the model."""
        if slots is None:
            return self._all
        if slots.ndim != 1 or not len(slots) or slots.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"slots must be (n,) int64 with n > 0, not {tuple(slots.shape)} {slots.dtype}")
        # on a GPU the look at the values would make every call wait for the one before
        if slots.device.type == "cpu":
            named = slots.tolist()
            if min(named) < 0 or max(named) >= self.slots:
                raise ValueError(f"slots must be from 0 to {self.slots - 1}, not {named}")
            if len(set(named)) < len(named):
                raise ValueError(f"a slot is named twice: {named}")
        return slots.to(self.device, torch.int64)

    def _check_tokens(self, tokens: Tensor, count: int) -> None:
        """Refuse what is not one token id of the vocabulary per slot."""
        if tokens.shape != (count,) or tokens.dtype not in (torch.int64, torch.int32):
            raise ValueError(
                f"tokens must be ({count},) int64, one per slot, not {tuple(tokens.shape)} {tokens.dtype}"
            )
        if tokens.device.type == "cpu":
            low, high = int(tokens.min()), int(tokens.max())
            if low < 0 or high >= self.vocabulary:
                wrong = low if low < 0 else high
                raise ValueError(f"token id {wrong} is not in the vocabulary of {self.vocabulary}")


def computing_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype in which a model is decoded: its own where the processor computes in it, else float32."""
    if device.type != "cpu" or dtype.itemsize > 2:
        return dtype
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = {torch.bfloat16: ("avx512_bf16", "amx_bf16"), torch.float16: ("avx512_fp16", "amx_fp16")}
    return dtype if any(able.get(name, False) for name in names.get(dtype, ())) else torch.float32


def _stack_weights(model: SequenceModel, dtype: torch.dtype) -> StackWeights:
    """Collect a model's weights in one dtype."""

    def cast(weight: Tensor) -> Tensor:
        return weight.detach().to(dtype)

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
    choose_backend("decode_step", backend, BACKENDS, device, caches[0].c.dtype)  # refuses what cannot run
    name = automatic(BACKENDS, device.type, caches[0].c.dtype).backend if backend == "auto" else backend
    packed = all(layer.mixer.packed is not None for layer in weights.layers)
    if name == "numba" and packed and device.type == "cpu" and dtype == torch.float32:
        from bio_xlstm.kernels.decode.numba_stack import NumbaStack

        return NumbaStack(weights, caches)
    stack = TorchStack(weights, caches, name)
    if name == "triton" and packed and device.type == "cuda":
        from bio_xlstm.kernels.decode.graph import GraphedStack

        return GraphedStack(stack, slots, device)
    return stack
