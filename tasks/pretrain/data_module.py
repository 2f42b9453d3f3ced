"""Lightning's view of a prepared corpus."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bio_xlstm.tasks.pretrain.batch_order import BatchOrder
from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.objectives import make_objective
from bio_xlstm.tasks.pretrain.respelling import Respelling
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.stop_request import let_through
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch, as_tensors
from bio_xlstm.tasks.pretrain.token_store import TokenStore
from bio_xlstm.tokenizers import Tokenizer


class PretrainData(LightningDataModule):
    """Serve packed training batches from any step on, and batches of held-out data per domain.

    The order is a function of (seed, step), so its whole state in a checkpoint is the number of steps done. Every
    process of a run, and every part that a step is divided into, gets its share of the same batches.
    """

    def __init__(
        self, recipe: Recipe, corpus: Corpus, tokenizer: Tokenizer, objective: str = "causal"
    ) -> None:
        super().__init__()
        self.recipe, self.corpus = recipe, corpus
        self.objective = make_objective(objective, tokenizer, recipe.data)
        self.steps_done = 0
        data, training = recipe.data, recipe.training
        chances = [domain.randomize for domain in data.domains]
        self.order = BatchOrder(
            Filler(
                corpus.train,
                self.objective,
                soft_weight=data.soft_mask_weight,
                respelling=Respelling(tokenizer, chances) if any(chances) else None,
            ),
            stages=data.stages or ((0, data.window),),
            budget=training.batch_tokens,
            weights=[domain.weight for domain in data.domains],
            set_shares=[domain.set_share for domain in data.domains],
            reverse_complement=data.reverse_complement,
            seed=training.seed,
        )

    def train_dataloader(self) -> DataLoader:
        """Give this process's parts of the batches, from the first step that is not done yet."""
        training = self.recipe.training
        mine = _Share(self.steps_done, training.accumulate, *self._process())
        # workers start while signals are held, and their end is a signal
        init = let_through if training.workers else None
        parts = _Parts(self.order, mine)
        return DataLoader(parts, batch_size=None, num_workers=training.workers, worker_init_fn=init)

    def val_dataloader(self) -> DataLoader:
        """Give this process's (domain, batch) pairs of a fixed part of the held-out data."""
        return self._looked_at(self.corpus.held_out, self.recipe.training.validation_tokens)

    def test_dataloader(self) -> DataLoader:
        """Give this process's (domain, batch) pairs of all test data."""
        return self._looked_at(self.corpus.test, tokens=0)

    def state_dict(self) -> dict[str, Any]:
        """Remember how many steps are done."""
        return {"steps_done": self.trainer.global_step if self.trainer else self.steps_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the steps that are done."""
        self.steps_done = int(state_dict["steps_done"])

    def _process(self) -> tuple[int, int]:
        """Return the number of this process, and of all that train together."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _looked_at(self, store: TokenStore, tokens: int) -> DataLoader:
        """Give every so many of the batches of all domains."""
        window = self.recipe.data.longest_window
        budget = max(window, self.recipe.training.batch_tokens // self.recipe.training.parts)
        filler = Filler(store, self.objective)
        pairs = (
            (domain, batch)
            for domain in range(len(self.corpus.domains))
            for batch in held_out_batches(filler, domain, window=window, budget=budget, tokens=tokens)
        )
        rank, processes = self._process()
        mine = itertools.islice(pairs, rank, None, processes)
        tensors = [(domain, as_tensors(batch)) for domain, batch in mine]
        return DataLoader(tensors, batch_size=None)  # type: ignore[arg-type]


class _Share(NamedTuple):
    """Say which parts of which steps a process trains on."""

    first_step: int
    accumulate: int
    rank: int
    processes: int


class _Parts(IterableDataset):
    """Yield the parts of training batches that belong to one process, without end.

    With several workers, each builds every so many of them: the loader takes from one worker after the other.
    """

    def __init__(self, order: BatchOrder, share: _Share) -> None:
        self.order, self.share = order, share

    def __iter__(self) -> Iterator[TensorBatch]:
        share, worker = self.share, get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in itertools.count(first, stride):
            step, turn = divmod(number, share.accumulate)
            part = share.rank * share.accumulate + turn
            parts = share.processes * share.accumulate
            yield as_tensors(self.order.part(share.first_step + step, part, parts))
