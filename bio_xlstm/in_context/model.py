"""The in-context learner: examples in, a state of fixed size out; queries and the state in, answers out."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.described import Described, describe
from bio_xlstm.in_context.encoder import Encoder
from bio_xlstm.in_context.enrichment import Enrichment
from bio_xlstm.in_context.labels import TASKS, Labels
from bio_xlstm.in_context.ridge import Ridge, RidgeState, SimilarityRidge
from bio_xlstm.in_context.set_block import SetBlock
from bio_xlstm.in_context.sketch import unpacked
from bio_xlstm.kernels.mlstm.state import MlstmState

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


class SetState(NamedTuple):
    """Hold what B supports leave behind; its size does not depend on how many examples were read."""

    task: str
    memories: tuple[MlstmState, ...]
    """one per block of the set reader"""
    ridge: RidgeState
    similar: Tensor  # (B, S) weights of the signs of a sketch
    base: Tensor
    """(B,) log-odds of the positive class in the support; 0 for regression"""
    shift: Tensor  # (B,)
    scale: Tensor  # (B,) what turns answers back into the units of the labels


class Answer(NamedTuple):
    """Hold what is said of M queries of B supports."""

    value: Tensor  # (B, M) log-odds of the positive class, or numbers in the units of the labels
    prior: Tensor  # (B, M) the same without the support: log-odds, or numbers around the support's mean
    leverage: Tensor  # (B, M) how far a query lies from what the support covers


class InContextModel(nn.Module):
    """Predict from labelled examples without training.

    A molecule becomes a point of W = D + S numbers (`encode`): D that were learned and know what is usual around it,
    and the S signs of its sketch. Of the labelled points of a support, the set reader fills the memories of its mLSTM
    blocks, and two ridge regressions solve for the labels, on what was learned and on similarity (`read_support`).
    Query points are answered from that state (`answer`) by a sum of four: what is often positive anywhere (the prior),
    both ridges, and the set reader. Similarity carries over to any chemistry; the rest adds what assays have in common.
    Neither the order of the examples nor the company of a query changes an answer.
    """

    def __init__(self, config: InContextConfig, name: str = "in-context") -> None:
        super().__init__()
        self.config, self.name = config, name
        self.encoder = Encoder(config)
        self.enrichment = Enrichment(config)
        self.prior = nn.Sequential(nn.Linear(config.dim, 128), nn.GELU(), nn.Linear(128, len(TASKS)))
        self.label = nn.Linear(4, config.dim)
        self.question = nn.Parameter(torch.randn(len(TASKS), config.dim) * 0.1)
        self.blocks = nn.ModuleList(SetBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.read_out = nn.Linear(config.dim, len(TASKS))
        self.ridge = Ridge(config)
        self.similarity = SimilarityRidge()
        self.base_weight = nn.Parameter(torch.zeros(()))
        self.card = ""
        self._language_model: SequenceModel | None = None

    @property
    def kind(self) -> str:
        """Return what the model reads."""
        return "smiles"

    @property
    def width(self) -> int:
        """Return W, the numbers of a point."""
        return self.config.dim + self.config.sketch

    @property
    def language_model(self) -> "SequenceModel":
        """Return the model whose embeddings describe molecules; ModelError where it is not the one trained with."""
        if self._language_model is None:
            from bio_xlstm.models.directory import load

            found = load(self.config.encoder)
            if self.config.encoder_hash and found.weight_hash() != self.config.encoder_hash:
                raise ModelError(
                    f"{self.name} was trained with another {self.config.encoder} than the one installed"
                )
            # not a submodule: its weights are not this model's
            self.__dict__["_language_model"] = found
        language_model: SequenceModel = self.__dict__["_language_model"]
        return language_model

    def describe(self, smiles: Sequence[str], *, batch_tokens: int = 8192) -> Described:
        """Describe molecules (N strings) that RDKit can read; ValueError or SequenceError for others."""
        config = self.config
        return describe(self.language_model, smiles, config.bits, config.sketch, batch_tokens=batch_tokens)

    def weight_hash(self) -> str:
        """Hash configuration and weights: states of another learner are refused by it."""
        digest = hashlib.sha256(json.dumps(self.config.to_dict(), sort_keys=True).encode())
        for name, weight in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def forward(self, described: Described) -> Tensor:
        """Turn descriptions of N molecules into points (N, W)."""
        return self.place(self.encoder(described), described.sketches)

    def place(self, encoded: Tensor, sketches: Tensor, reference: Tensor | None = None) -> Tensor:
        """Put encoded molecules (N, D) among reference ones, the model's own or others, and sketches beside them."""
        return torch.cat([self.enrichment(encoded, reference), unpacked(sketches)], -1)

    @torch.no_grad()
    def encode(self, smiles: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
        """Turn molecules (N strings) that RDKit can read into points (N, W)."""
        if not len(smiles):
            return torch.zeros(0, self.width)
        points: Tensor = self(self.describe(smiles, batch_tokens=batch_tokens))
        return points

    def _readers(self) -> Iterator[SetBlock]:
        """Yield the blocks of the set reader."""
        for block in self.blocks:
            assert isinstance(block, SetBlock)
            yield block

    def read_support(self, points: Tensor, labels: Labels) -> SetState:
        """Read labelled points (B, N, W) into states."""
        points, sketches = points.split([self.config.dim, self.config.sketch], -1)
        x = points + self.label(labels.described())
        memories = []
        for block in self._readers():
            x, memory = block.examples(x)
            memories.append(memory)
        base = torch.zeros_like(labels.shift, dtype=points.dtype)
        if labels.task == "binary":
            share = (labels.values > 0).float().mean(1)
            base = torch.logit(share.clamp(0.02, 0.98))
        solved = self.ridge.solve(points, labels), self.similarity.solve(sketches, labels)
        return SetState(labels.task, tuple(memories), *solved, base, labels.shift, labels.scale)

    def answer(self, points: Tensor, state: SetState) -> Answer:
        """Answer query points (B, M, W) from states; queries do not see each other."""
        points, sketches = points.split([self.config.dim, self.config.sketch], -1)
        place = TASKS.index(state.task)
        # the encoder learns from what supports tell, not from what single molecules were measured to be
        prior = self.prior(points.detach())[..., place]  # (B, M)
        x = points + self.question[place]
        for block, memory in zip(self._readers(), state.memories, strict=True):
            x = block.queries(x, memory)
        read = self.read_out(self.norm(x))[..., place]
        found = prior + self.ridge(points, state.ridge, state.task) + read
        found = found + self.similarity(sketches, state.similar, state.task)
        found = found + self.base_weight * state.base[:, None]
        leverage = self.ridge.leverage(points, state.ridge)
        shift, scale = state.shift[:, None], state.scale[:, None]
        return Answer(found * scale + shift, prior * scale + shift, leverage)
