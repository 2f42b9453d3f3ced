"""Token by token through stacks of mLSTM blocks with the decoding kernels."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bio_xlstm.errors import ConfigError
from bio_xlstm.kernels.arithmetic import computing_dtype
from bio_xlstm.kernels.choice import resolve
from bio_xlstm.kernels.decode import DecodeCache, Windows, allocate, prepare
from bio_xlstm.kernels.decode.dispatch import BACKENDS
from bio_xlstm.kernels.decode.torch_stack import TorchStack
from bio_xlstm.kernels.decode.weights import LayerWeights, StackWeights
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.layers.block import Block
from bio_xlstm.layers.mlstm import MlstmLayer, check_plain
from bio_xlstm.layers.projection import Projection
from bio_xlstm.layers.rotary import rotation_of
from bio_xlstm.layers.state import LayerState
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.models.placing import Placed

Stack = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def can_fuse(model: SequenceModel) -> bool:
    """Tell whether the decoding kernels know every step of a causal model."""
    config = model.config
    return (
        config.block == "pre_up"
        and not config.slstm_at
        and config.rotary in ("none", "head")
        and config.position_embedding == "none"
        and not config.logits_capped_at
        and config.final_norm
    )


class FusedReader:
    """Read with copies of a model's weights: fresh tokens wait in a window, older ones are folded into the memory."""

    def __init__(self, model: SequenceModel, slots: int, backend: str, windows: Windows | None) -> None:
        _check_modules(model)
        config, device = model.config, model.device
        self.config, self.model_dtype = config, model.dtype
        dtype = computing_dtype(model.dtype, device)
        weights = _stack_weights(model, dtype)
        state_dtype = torch.promote_types(dtype, torch.float32)
        self.caches = [
            allocate(
                slots,
                config.heads,
                config.inner,
                config.conv_width,
                device=device,
                dtype=state_dtype,
                # the model itself rounds keys and values to bfloat16, so such a window keeps all there is to keep
                window_dtype=torch.bfloat16 if model.dtype == torch.bfloat16 else state_dtype,
                windows=windows,
            )
            for _ in weights.layers
        ]
        self._stack = _choose_stack(weights, self.caches, backend, slots, device)

    def step(self, tokens: Tensor, slots: Tensor, placed: Placed | None) -> Tensor:
        """Read tokens (n,) into slots (n,) and return logits (n, V)."""
        turn = None
        if placed is not None:
            rotation = rotation_of(self.config, placed.place, placed.sequence, self.caches[0].c.dtype)
            rows = rotation.rows[:, 0]
            turn = torch.stack((rotation.cos[rows], rotation.sin[rows]), dim=1)  # (n, 2, K / 2)
        return self._stack(tokens, slots, turn)

    def load(self, slots: Tensor, blocks: Sequence[LayerState]) -> None:
        """Take up memories, one per block."""
        for cache, block in zip(self.caches, blocks, strict=True):
            cache.load(slots, *_parts(block))

    def state(self, slots: Tensor) -> tuple[LayerState, ...]:
        """Return the memories, one per block."""
        found = [cache.read(slots) for cache in self.caches]
        return tuple(LayerState(memory, conv.to(self.model_dtype)) for memory, conv in found)

    def clear(self, slots: Tensor) -> None:
        """Forget."""
        for cache in self.caches:
            cache.clear(slots)

    def find_misfit(self, count: int, blocks: Sequence[LayerState]) -> str:
        """Say what keeps memories of `count` sequences from fitting; empty where nothing does."""
        for number, (cache, block) in enumerate(zip(self.caches, blocks, strict=True), start=1):
            if not isinstance(block.memory, MlstmState) or block.conv is None:
                return f"in block {number} is another kind of memory"
            misfit = cache.find_misfit(count, *_parts(block))
            if misfit:
                return f"in block {number} {misfit}"
        return ""


def _parts(block: LayerState) -> tuple[MlstmState, Tensor]:
    """Return the memory and the window of an mLSTM layer."""
    assert isinstance(block.memory, MlstmState) and block.conv is not None
    return block.memory, block.conv


def _check_modules(model: SequenceModel) -> None:
    """Refuse a model whose modules do more than their weights say, for weights are all that a decoder reads."""
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise ConfigError(f"{name or 'the model'} has forward hooks, which a Decoder would leave out")
    maps: dict[str, type[nn.Module]] = {"embedding": nn.Embedding, "norm": nn.LayerNorm}
    if model.head is not None:
        maps["head"] = Projection
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
        assert isinstance(block, Block) and isinstance(block.norm, nn.LayerNorm)
        mixer = block.mixer
        assert isinstance(mixer, MlstmLayer)
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
    assert isinstance(model.norm, nn.LayerNorm)
    # tied weights are the embedding's
    head = model.embedding.weight if model.head is None else model.head.weight
    return StackWeights(
        cast(model.embedding.weight), layers, cast(model.norm.weight), cast(head), model.config.norm_eps
    )


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
