"""The network that all families share: embedding, blocks, final norm, head."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.mixer.dispatch import BACKENDS
from bio_xlstm.layers.block import Mixer, block_at
from bio_xlstm.layers.norm import norm_of
from bio_xlstm.layers.position_embedding import position_embedding_of
from bio_xlstm.layers.projection import Projection, project
from bio_xlstm.layers.rotary import rotation_of
from bio_xlstm.layers.soft_cap import soft_cap
from bio_xlstm.layers.state import LayerState, Reading
from bio_xlstm.models.output import ModelOutput
from bio_xlstm.models.placing import Placed, place_tokens
from bio_xlstm.models.strands import check_strands, join_strands, split_strands
from bio_xlstm.models.uses import ModelUses
from bio_xlstm.models.weight_hash import WeightHash
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer

# parameters beside the biases that weight decay leaves alone
_FREE = ("embedding", "input_gate", "forget_gate", "conv_weight", "skip", "norm")


class SequenceModel(ModelUses, nn.Module):
    """A language model of biological or chemical sequences.

    Sequences are packed end to end, never padded, so a result does not depend on what else is in the batch.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, name: str = "") -> None:
        super().__init__()
        self.config, self.tokenizer, self.name = config, tokenizer, name or config.family
        self.card = ""  # the model card, kept by save
        # whether training computes each block again on the way back, to save memory
        self.checkpointing = False
        learned = config.position_embedding.startswith("learned")
        self.embedding = nn.Embedding(config.vocabulary, config.dim // 2 if learned else config.dim)
        self.position_embedding = position_embedding_of(config)
        self.dropout = nn.Dropout(config.dropout if config.embedding_dropout else 0.0)
        self.blocks = nn.ModuleList(block_at(index, config) for index in range(config.blocks))
        self.norm = norm_of(config) if config.final_norm else nn.Identity()
        self.head = None if config.tie_weights else Projection(config.dim, config.vocabulary, bias=False)
        for table in (self.embedding, self.head):
            if table is not None:
                nn.init.normal_(table.weight, std=(2 / (5 * table.weight.shape[1])) ** 0.5)
        if config.equivariant:
            check_strands(tokenizer)
        self._hash = WeightHash()

    def forward(
        self,
        tokens: Tensor,
        cu_seqlens: Tensor | None = None,
        state: ModelState | None = None,
        layers: Sequence[int] = (),
        with_state: bool = True,
        positions: Tensor | None = None,
        sequence_index: Tensor | None = None,
    ) -> ModelOutput:
        """Read tokens (B, T), or N sequences packed in (1, T) with their borders cu_seqlens (N + 1,) int32.

        `state` continues sequences of earlier calls; `layers` asks for hidden states, negative from the end; without
        `with_state` the state after the last token is not computed, which saves time on short sequences. Models with
        positions read them from the tokens unless `positions` (B, T) and `sequence_index` (B, T) say otherwise.
        ValueError refuses tokens of another shape, ModelError a state of another model or of other sequences,
        ConfigError a layer that does not exist.
        """
        self._check_tokens(tokens, cu_seqlens)
        wanted = {self.layer_index(layer) for layer in layers}
        before = self._block_states(state, len(tokens) if cu_seqlens is None else len(cu_seqlens) - 1)
        placed = None
        if self.config.positioned:
            placed = place_tokens(
                self.config, self.tokenizer, tokens, cu_seqlens, state, positions, sequence_index
            )
        hidden, after, kept = self.run_blocks(tokens, cu_seqlens, before, with_state, placed, wanted)
        last = self._state(after, state, tokens, cu_seqlens, placed) if with_state else None
        return ModelOutput(hidden, last, kept, self.logits_of)

    def run_blocks(
        self,
        tokens: Tensor,
        cu_seqlens: Tensor | None,
        before: Sequence[LayerState | None],
        with_state: bool,
        placed: Placed | None,
        wanted: Set[int] = frozenset(),
    ) -> tuple[Tensor, tuple[LayerState, ...], dict[int, Tensor]]:
        """Do what `forward` does without looking at its arguments: hidden states, memories and wanted layers."""
        reading = self._reading(cu_seqlens, with_state, placed)
        strands = self._embed(tokens, placed)
        kept = {0: join_strands(strands)} if 0 in wanted else {}
        after: list[LayerState] = []
        for depth, (block, block_state) in enumerate(zip(self.blocks, before, strict=True), start=1):
            strands, end = self._through(block, strands, reading._replace(state=block_state))
            after += [] if end is None else [end]
            if depth in wanted:
                kept[depth] = join_strands(strands)
        hidden = join_strands([self.norm(strand) for strand in strands])
        if self.config.blocks in wanted:
            kept[self.config.blocks] = hidden
        return hidden, tuple(after), kept

    def logits_of(self, hidden: Tensor) -> Tensor:
        """Map hidden states after the final norm to unnormalised log-probabilities (B, T, V).

        An equivariant model adds what both strands say; a symbol on one strand is its complement on the other.
        """
        weight = self.embedding.weight if self.head is None else self.head.weight
        if not self.config.equivariant:
            logits = project(hidden, weight) if self.head is None else self.head(hidden)
        else:
            one, other = split_strands(hidden)
            logits = project(one, weight) + project(other, weight[self.complement])
        return soft_cap(logits, self.config.logits_capped_at)

    def _reading(self, cu_seqlens: Tensor | None, with_state: bool, placed: Placed | None) -> Reading:
        """Say how the blocks are to read."""
        rotation = None
        if placed is not None and self.config.rotary != "none":
            rotation = rotation_of(self.config, placed.place, placed.sequence, self.dtype)
        return Reading(cu_seqlens, with_state=with_state and self.causal, rotation=rotation)

    def _embed(self, tokens: Tensor, placed: Placed | None) -> list[Tensor]:
        """Embed tokens, and those of the other strand where the model reads both: (B, T, D) each."""
        strands = [tokens, self.complement[tokens]] if self.config.equivariant else [tokens]
        embedded = [self.embedding(strand) for strand in strands]
        if self.position_embedding is not None and placed is not None:
            embedded = [self.position_embedding(x, placed.place, placed.sequence) for x in embedded]
        return [self.dropout(x) for x in embedded]

    def _through(
        self, block: nn.Module, strands: list[Tensor], reading: Reading
    ) -> tuple[list[Tensor], LayerState | None]:
        """Pass the strands through a block; the second one lies in the order of the first and is read backwards."""
        done, end = [], None
        for number, strand in enumerate(strands):
            order = reading._replace(reverse=number == 1, second_strand=number == 1)
            if self.checkpointing and self.training and torch.is_grad_enabled():
                strand, end = checkpoint(block, strand, order, use_reentrant=False)
            else:
                strand, end = block(strand, order)
            done.append(strand)
        return done, end

    @property
    def causal(self) -> bool:
        """Tell whether the model reads left to right, so that it can stream and continue from a state."""
        return self.config.causal

    @property
    def kind(self) -> str:
        """Return the kind of sequence the model reads: dna, protein, smiles or tokens."""
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
    def complement(self) -> Tensor:
        """Return the id (V,) that faces every id on the other strand of DNA."""
        assert self.tokenizer.complement is not None
        return torch.tensor(self.tokenizer.complement.astype(np.int64), device=self.device)

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
            if isinstance(layer, Mixer):
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
        return self._hash.of(self, self.config)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Split the parameters for AdamW: matrices decay; norms, skips, biases, gates and embeddings do not."""
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            free = name.endswith("bias") or any(part in name for part in _FREE)
            (kept if free or parameter.ndim < 2 else decayed).append(parameter)
        return [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]

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
            raise ModelError(f"{self.name} {self.config.sight}: it cannot continue from a state")
        if state.model_hash and state.model_hash != self.weight_hash():
            raise ModelError(
                f"the state was made by another model (hash {state.model_hash[:12]}); "
                f"{self.name} has hash {self.weight_hash()[:12]}"
            )
        if len(state) != sequences:
            raise ModelError(f"the state holds {len(state)} sequences, but {sequences} are to be read")
        return state.blocks

    def _state(
        self,
        blocks: tuple[LayerState, ...],
        before: ModelState | None,
        tokens: Tensor,
        cu_seqlens: Tensor | None,
        placed: Placed | None,
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
        return ModelState(
            blocks,
            position,
            "" if self.training else known or self.weight_hash(),
            None if placed is None else placed.after,
        )
