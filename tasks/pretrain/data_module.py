"""Lightning's view of a prepared corpus."""

from collections.abc import Iterator
from typing import Any

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset

from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.packing import BatchOrder, Framing
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch, as_tensors


class PretrainData(LightningDataModule):
    """Serve packed training batches from any step on, and batches of held-out data per domain.

    The order is a function of (seed, step), so its whole state in a checkpoint is the number of steps done.
    """

    def __init__(self, recipe: Recipe, corpus: Corpus, tokenizer: Any) -> None:
        super().__init__()
        self.recipe, self.corpus = recipe, corpus
        self.framing = Framing.of(tokenizer)
        self.steps_done = 0
        self.order = BatchOrder(
            corpus.train,
            self.framing,
            window=recipe.data.window,
            budget=recipe.training.batch_tokens,
            weights=[domain.weight for domain in recipe.data.domains],
            reverse_complement=recipe.data.reverse_complement,
            seed=recipe.training.seed,
        )

    def train_dataloader(self) -> DataLoader:
        """Give batches from the first step that is not done yet."""
        return DataLoader(_Endless(self), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        """Give (domain, batch) pairs of a fixed part of the held-out data."""
        settings = self.recipe.training
        pairs = [
            (domain, as_tensors(batch))
            for domain in range(len(self.corpus.domains))
            for batch in held_out_batches(
                self.corpus.held_out,
                domain,
                self.framing,
                window=self.recipe.data.window,
                budget=settings.batch_tokens,
                tokens=settings.validation_tokens,
            )
        ]
        return DataLoader(pairs, batch_size=None)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Remember how many steps are done."""
        return {"steps_done": self.trainer.global_step if self.trainer else self.steps_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the steps that are done."""
        self.steps_done = int(state_dict["steps_done"])


class _Endless(IterableDataset):
    """Yield training batches without end."""

    def __init__(self, data: PretrainData) -> None:
        self.data = data

    def __iter__(self) -> Iterator[TensorBatch]:
        return (as_tensors(batch) for batch in self.data.order.from_step(self.data.steps_done))
