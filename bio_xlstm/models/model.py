"""The network that all families share: embedding, blocks, final norm, head."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.mixer.dispatch import BACKENDS
from bio_xlstm.layers.block import block_at
from bio_xlstm.layers.mlstm import LayerState, MlstmLayer
from bio_xlstm.layers.projection import Projection
from bio_xlstm.models.output import ModelOutput
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer


class SequenceModel(nn.Module):
    """A language model of biological or chemical sequences.

    Sequences are packed end to end, never padded, so a result does not depend on what else is in the batch.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, name: str = "") -> None:
        super().__init__()
        self.config, self.tokenizer, self.name = config, tokenizer, name or config.family
        self.card = ""  # the model card, kept by save
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        self.blocks = nn.ModuleList(block_at(index, config) for index in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps, bias=False)
        self.head = Projection(config.dim, config.vocabulary, bias=False)
        for weight in (self.embedding.weight, self.head.weight):
            nn.init.normal_(weight, std=(2 / (5 * config.dim)) ** 0.5)
        self._hash: tuple[tuple[int, ...], str] = ((), "")

    def forward(
        self,
        tokens: Tensor,
        cu_seqlens: Tensor | None = None,
        state: ModelState | None = None,
        layers: Sequence[int] = (),
        with_state: bool = True,
    ) -> ModelOutput:
        """Read tokens (B, T), or N sequences packed in (1, T) with their borders cu_seqlens (N + 1,) int32.

        `state` continues sequences of earlier calls; `layers` asks for hidden states, negative from the end; without
        `with_state` the state after the last token is not computed, which saves time on short sequences.
        ValueError refuses tokens of another shape, ModelError a state of another model or of other sequences,
        ConfigError a layer that does not exist.
        """
        self._check_tokens(tokens, cu_seqlens)
        wanted = [self.layer_index(layer) for layer in layers]
        before = self._block_states(state, len(tokens) if cu_seqlens is None else len(cu_seqlens) - 1)
        x = self.embedding(tokens)  # (B, T, D)
        kept = {0: x} if 0 in wanted else {}
        after: list[LayerState] = []
        for depth, (block, block_state) in enumerate(zip(self.blocks, before, strict=True), start=1):
            x, block_state = block(x, cu_seqlens, block_state, with_state)
            after.append(block_state)
            if depth in wanted:
                kept[depth] = x
        hidden = self.norm(x)
        if self.config.blocks in wanted:
            kept[self.config.blocks] = hidden
        end = self._state(after, state, tokens, cu_seqlens) if with_state else None
        return ModelOutput(hidden, end, kept, self.head)

    @property
    def causal(self) -> bool:
        """Tell whether the model reads left to right, so that it can stream and continue from a state."""
        return self.config.causal

    @property
    def kind(self) -> str:
        """Return the kind of sequence the model reads: dna, protein or smiles."""
        return self.tokenizer.kind

    @property
    def layer_count(self) -> int:
        """Return how many layers can be asked for: the embedding and one after each block."""
        return self.config.blocks + 1

    @property
    def parameter_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """Return the device that holds the weights."""
        return self.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the dtype of the weights."""
        return self.embedding.weight.dtype

    def use_backend(self, name: str) -> "SequenceModel":
        """Run the blocks on a backend (auto, torch, numba, triton, reference) from now on; return the model.

        ValueError says why a backend cannot run on the model's device.
        """
        from bio_xlstm.kernels.choice import check_backend

        check_backend("model", name, BACKENDS, self.device)
        for layer in self.modules():
            if isinstance(layer, MlstmLayer):
                layer.backend = name
        return self

    def layer_index(self, layer: int) -> int:
        """Turn a layer number, negative from the end, into 0 .. layer_count - 1."""
        index = layer + self.layer_count if layer < 0 else layer
        if not 0 <= index < self.layer_count:
            raise ConfigError(
                f"there is no layer {layer}: this model has layers 0 to {self.layer_count - 1} "
                f"(-{self.layer_count} to -1)"
            )
        return index

    def weight_hash(self) -> str:
        """Return a hash of configuration and weights, in the dtype they have now."""
        weights = list(self.parameters())
        versions = (*(number for weight in weights for number in _version(weight)), *_sums(weights))
        if self._hash[0] != versions:
            digest = hashlib.sha256(json.dumps(self.config.to_dict(), sort_keys=True).encode())
            for name, weight in sorted(self.state_dict().items()):
                digest.update(name.encode())
                digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
            self._hash = versions, digest.hexdigest()
        return self._hash[1]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Split the parameters for AdamW: matrices decay; norms, skips, biases, gates and embeddings do not."""
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            matrix = parameter.ndim >= 2 and not any(
                part in name for part in ("embedding", "_gate", "conv_weight")
            )
            (decayed if matrix else kept).append(parameter)
        return [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]

    def embed(
        self,
        sequences: Sequence[str],
        pool: str = "mean",
        layer: int = -1,
        rc: str = "none",
        batch_tokens: int = 8192,
    ) -> np.ndarray | list[np.ndarray]:
        """Embed sequences: (N, D) float32, or with pool="none" a list of (length, D).

        `pool` is mean, last, first, max or none; `layer` counts from the embedding (0) or from the end (-1);
        `rc` adds the reverse strand of DNA (none, average, concat). SequenceError names what cannot be read.
        Molecules are read as text: ask `bio_xlstm.records.chemistry.parse_reason` whether RDKit can parse them.

        >>> import bio_xlstm as bx
        >>> bx.load("protein-small").embed(["MKTAYIAKQR", "GSHM"]).shape[0]
        2
        """
        from bio_xlstm.embedding import embed_sequences

        return embed_sequences(self, sequences, pool=pool, layer=layer, rc=rc, batch_tokens=batch_tokens)

    def embed_iter(
        self,
        records: Iterable[Any],
        pool: str = "mean",
        layer: int = -1,
        rc: str = "none",
        batch_tokens: int = 8192,
    ) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Embed a stream of records (or strings) in constant memory; yield (record, vector) in order.

        A record that cannot be read yields None in place of its vector; `tokenizer.prepare` says why.
        """
        from bio_xlstm.embedding import embed_stream

        return embed_stream(self, records, pool=pool, layer=layer, rc=rc, batch_tokens=batch_tokens)

    def save(self, directory: str | Path, card: str = "") -> None:
        """Write a model directory: config.json, model.safetensors, tokenizer.json and README.md (the card)."""
        from bio_xlstm.models.directory import save

        save(self, directory, card)

    def _check_tokens(self, tokens: Tensor, cu_seqlens: Tensor | None) -> None:
        """Refuse what is not a batch of token ids of this vocabulary."""
        for name, given in (("tokens", tokens), ("cu_seqlens", cu_seqlens)):
            if given is not None and not isinstance(given, Tensor):
                raise ValueError(f"{name} must be a torch tensor, not {type(given).__name__}")
        if tokens.ndim != 2 or tokens.numel() == 0 or tokens.dtype not in (torch.int64, torch.int32):
            raise ValueError(
                f"tokens must be (B, T) int64 with B, T > 0, not {tuple(tokens.shape)} {tokens.dtype}"
            )
        # on a GPU the look at the values would make every call wait for the one before
        if tokens.device.type == "cpu":
            low, high = tokens.min(), tokens.max()
            if low < 0 or high >= self.config.vocabulary:
                wrong = int(low) if low < 0 else int(high)
                raise ValueError(f"token id {wrong} is not in the vocabulary of {self.config.vocabulary}")

    def _block_states(self, state: ModelState | None, sequences: int) -> Sequence[LayerState | None]:
        """Check that a state belongs to this model and to as many sequences as are read, and take it apart."""
        if state is None:
            return [None] * self.config.blocks
        if not isinstance(state, ModelState):
            raise ValueError(f"state must be a ModelState, not {type(state).__name__}")
        if not self.causal:
            raise ModelError(f"{self.name} reads both ways: it cannot continue from a state")
        if state.model_hash and state.model_hash != self.weight_hash():
            raise ModelError(
                f"the state was made by another model (hash {state.model_hash[:12]}); "
                f"{self.name} has hash {self.weight_hash()[:12]}"
            )
        if len(state) != sequences:
            raise ModelError(f"the state holds {len(state)} sequences, but {sequences} are to be read")
        return state.blocks

    def _state(
        self, blocks: list[LayerState], before: ModelState | None, tokens: Tensor, cu_seqlens: Tensor | None
    ) -> ModelState | None:
        """Put the states of the blocks together."""
        if not self.causal:
            return None
        if cu_seqlens is None:
            read = torch.full((tokens.shape[0],), tokens.shape[1], dtype=torch.int64, device=tokens.device)
        else:
            read = cu_seqlens.diff().to(torch.int64)
        position = read if before is None else before.position + read
        # hashing every training step would cost more than it protects; a state that was continued has been held
        # against the weights already
        known = before.model_hash if before is not None else ""
        return ModelState(tuple(blocks), position, "" if self.training else known or self.weight_hash())


def _version(parameter: Tensor) -> tuple[int, int]:
    """Return numbers that change when a parameter is written to or replaced."""
    # tensors made in inference mode keep no count of writes
    return (0 if parameter.is_inference() else parameter._version), parameter.data_ptr()


@torch.no_grad()
def _sums(weights: list[nn.Parameter]) -> list[int]:
    """Return the bits of each weight's sum: what is written through `.data` is counted nowhere else."""
    # read at the speed of memory: a sum in float64 would take five times as long
    sums = torch.stack([weight.sum(dtype=torch.float32) for weight in weights])
    found: list[int] = sums.view(torch.int32).tolist()
    return found
