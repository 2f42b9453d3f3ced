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
from bio_xlstm.in_context.learner import Answer
from bio_xlstm.in_context.points import Points
from bio_xlstm.in_context.prints import width
from bio_xlstm.in_context.process import Process, ProcessState
from bio_xlstm.in_context.ridge import Ridge, RidgeState
from bio_xlstm.in_context.set_block import SetBlock
from bio_xlstm.in_context.weighing import Weighing
from bio_xlstm.kernels.mlstm.state import MlstmState

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


# of everything here that decides an answer, beside the weights
_VERSION = 2


class SetState(NamedTuple):
    """Hold what B supports leave behind; its size has a bound, however many examples were read."""

    task: str
    memories: tuple[MlstmState, ...]
    """one per block of the set reader"""
    ridge: RidgeState
    process: ProcessState
    base: Tensor
    """(B,) log-odds of the positive class in the support; 0 for regression"""
    shift: Tensor  # (B,)
    scale: Tensor  # (B,) what turns answers back into the units of the labels

    @property
    def slots(self) -> int:
        """Return how many examples the process holds as they are."""
        return self.process.weights.shape[1]

    def sharing(self, left_out: Tensor) -> "SetState":
        """Let all supports share the slots of the first, some of which (B, slots) each was made without."""
        process = self.process._replace(prints=self.process.prints[:1], there=~left_out)
        return self._replace(process=process)


class InContextModel(nn.Module):
    """Predict from labelled examples without training.

    A molecule becomes a point (`encode`): D numbers that were learned and know what is usual around it, and
    fingerprints. Of the labelled points of a support, the set reader fills the memories of its mLSTM blocks, a ridge
    regression solves for the labels on what was learned, and a Gaussian process on the fingerprints' similarity
    (`read_support`). Query points are answered from that state (`answer`) by a weighed sum: what is often positive
    anywhere (the prior), ridge, process, and set reader. Similarity carries over to any chemistry and says more the
    more examples there are; the rest adds what assays have in common. Neither the order of the examples nor the
    company of a query changes an answer.

    Points are rows of W bytes, as `Points.packed` writes them, or `Points`.
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
        self.process = Process()
        self.weighing = Weighing()
        self.base_weight = nn.Parameter(torch.zeros(()))
        self.card = ""
        self._language_model: SequenceModel | None = None

    @property
    def kind(self) -> str:
        """Return what the model reads."""
        return "smiles"

    @property
    def width(self) -> int:
        """Return W, the bytes of a point."""
        return 4 * self.config.dim + width(self.config.prints)

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
        return describe(self.language_model, smiles, self.config, batch_tokens=batch_tokens)

    def weight_hash(self) -> str:
        """Hash configuration, weights and how they are read: states and points of another learner are refused by it."""
        digest = hashlib.sha256(f"{_VERSION} {json.dumps(self.config.to_dict(), sort_keys=True)}".encode())
        for name, weight in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def forward(self, described: Described) -> Tensor:
        """Turn descriptions of N molecules into points (N, W)."""
        return self.place(self.encoder(described), described.prints).packed()

    def place(self, encoded: Tensor, prints: Tensor, reference: Tensor | None = None) -> Points:
        """Put encoded molecules (N, D) among reference ones, the model's own or others, with fingerprints beside."""
        return Points(self.enrichment(encoded, reference), prints)

    @torch.no_grad()
    def encode(self, smiles: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
        """Turn molecules (N strings) that RDKit can read into points (N, W)."""
        if not len(smiles):
            return torch.zeros(0, self.width, dtype=torch.uint8)
        points: Tensor = self(self.describe(smiles, batch_tokens=batch_tokens))
        return points

    def opened(self, points: Tensor | Points) -> Points:
        """Return points as `Points`; ValueError for rows of another width."""
        if isinstance(points, Points):
            return points
        if points.dtype != torch.uint8 or points.shape[-1] != self.width:
            given = f"{points.shape[-1]} of {str(points.dtype).removeprefix('torch.')}"
            raise ValueError(f"points of {self.name} are rows of {self.width} bytes, not {given}")
        return Points.of(points, self.config.dim)

    def _readers(self) -> Iterator[SetBlock]:
        """Yield the blocks of the set reader."""
        for block in self.blocks:
            assert isinstance(block, SetBlock)
            yield block

    def read_support(
        self,
        points: Tensor | Points,
        labels: Labels,
        *,
        slots: Tensor | Points | None = None,
        like: SetState | None = None,
    ) -> SetState:
        """Read labelled points (B, N, ...) into states.

        The process keeps the first examples of every support (`process.SLOTS`), or the points `slots` (1, n, ...).
        Nothing is taken from `like`: what there would be to take is found in no time.
        """
        points = self.opened(points)
        given = None if slots is None else self.opened(slots).prints
        process, labels = self.process.solve(points.prints, labels, given)
        x = points.learned + self.label(labels.described())
        memories = []
        for block in self._readers():
            x, memory = block.examples(x)
            memories.append(memory)
        base = torch.zeros_like(labels.shift, dtype=x.dtype)
        if labels.task == "binary":
            share = (labels.values > 0).float().mean(1)
            base = torch.logit(share.clamp(0.02, 0.98))
        ridge = self.ridge.solve(points.learned, labels)
        return SetState(labels.task, tuple(memories), ridge, process, base, labels.shift, labels.scale)

    def answer(self, points: Tensor | Points, state: SetState) -> Answer:
        """Answer query points (B, M, ...) from states; queries do not see each other."""
        points, place = self.opened(points), TASKS.index(state.task)
        learned = points.learned
        # the encoder learns from what supports tell, not from what single molecules were measured to be
        prior = self.prior(learned.detach())[..., place]  # (B, M)
        x = learned + self.question[place]
        for block, memory in zip(self._readers(), state.memories, strict=True):
            x = block.queries(x, memory)
        read = self.read_out(self.norm(x))[..., place]
        leverage = self.ridge.leverage(learned, state.ridge)
        similar = self.process(points.prints, state.process)
        parts = [prior.expand_as(read), self.ridge(learned, state.ridge, state.task), read, similar.value]
        found = self.weighing(torch.stack(parts, -1), similar.nearest, leverage, state)
        found = found + self.base_weight * state.base[:, None]
        shift, scale = state.shift[:, None], state.scale[:, None]
        return Answer(found * scale + shift, prior * scale + shift, leverage)
