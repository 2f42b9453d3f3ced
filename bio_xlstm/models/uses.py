"""What a model is used for: embeddings, likelihoods, new sequences, contexts. The work is done elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bio_xlstm.state import ModelState

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


class ModelUses:
    """Offer what can be done with strings and records; a part of `SequenceModel`."""

    def embed(
        self,
        sequences: Sequence[str],
        pool: str = "mean",
        layer: int = -1,
        rc: str = "auto",
        batch_tokens: int = 8192,
    ) -> np.ndarray | list[np.ndarray]:
        """Embed sequences: (N, D) float32, or with pool="none" a list of (length, D).

        `pool` is mean, last, first, max or none; `layer` counts from the embedding (0) or from the end (-1);
        `rc` adds the reverse strand of DNA (none, average, concat; auto: what the model is made for).
        SequenceError names what cannot be read.
        Molecules are read as text: ask `bio_xlstm.records.chemistry.parse_reason` whether RDKit can parse them.

        >>> import bio_xlstm as bx
        >>> bx.load("protein-small").embed(["MKTAYIAKQR", "GSHM"]).shape[0]
        2
        """
        from bio_xlstm.embedding import embed_sequences

        return embed_sequences(
            self._model, sequences, pool=pool, layer=layer, rc=rc, batch_tokens=batch_tokens
        )

    def embed_iter(
        self,
        records: Iterable[Any],
        pool: str = "mean",
        layer: int = -1,
        rc: str = "auto",
        batch_tokens: int = 8192,
    ) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Embed a stream of records (or strings) in constant memory; yield (record, vector) in order.

        A record that cannot be read yields None in place of its vector; `tokenizer.prepare` says why.
        """
        from bio_xlstm.embedding import embed_stream

        return embed_stream(self._model, records, pool=pool, layer=layer, rc=rc, batch_tokens=batch_tokens)

    def score(
        self, sequences: Sequence[str], reduce: str = "sum", **options: Any
    ) -> np.ndarray | list[np.ndarray]:
        """Score sequences: log-likelihoods in nats, (N,) float64, or with reduce="none" one array per sequence.

        `reduce` is sum, mean (per token), perplexity or none; `direction`, `rc`, `stride`, `state` and `batch_tokens`
        are those of `bio_xlstm.scoring.score_sequences`. Masked models give pseudo-log-likelihoods. SequenceError
        names what cannot be read.

        >>> import bio_xlstm as bx
        >>> ethanol, nonsense = bx.load("chem-small").score(["CCO", "]]]"])
        >>> bool(ethanol > nonsense)
        True
        """
        from bio_xlstm.scoring import score_sequences

        return score_sequences(self._model, sequences, reduce=reduce, **options)

    def variants(self, wild_type: str, variants: Sequence[str], **options: Any) -> np.ndarray:
        """Compare variants with their wild type: log-likelihood ratios in nats, (N,) float64.

        A variant is a list of substitutions, `A123T:G5D`, or a whole sequence. `method`, `offset`, `rc`, `stride`,
        `state` and `batch_tokens` are those of `bio_xlstm.variants.ratios`: what stands before a change is read once
        for all variants. SequenceError names what cannot be read.

        >>> import bio_xlstm as bx
        >>> bx.load("protein-small").variants("MKTAYIAKQR", ["K2R", "K2R:T3S"]).shape
        (2,)
        """
        from bio_xlstm.variants.ratios import score_variants

        return score_variants(self._model, wild_type, variants, **options)

    def generate(
        self,
        count: int,
        *,
        prompt: str = "",
        state: ModelState | None = None,
        slots: int = 64,
        **sampling: Any,
    ) -> list[str]:
        """Draw sequences from a causal model, in the order of their numbers 0 to `count` - 1.

        Sequence i depends on the model, the seed and i alone. All begin with `prompt`, after the context that `state`
        remembers; `slots` are drawn at once. `sampling` are the fields of `bio_xlstm.sampling.Sampling`: seed,
        temperature, top_k, top_p, min_p, longest and others. Nothing is filtered: molecules may be invalid, and a
        sequence without an end is cut at `longest`.

        Raises:
            ConfigError: the model cannot be read token by token, or a setting means nothing.
            SequenceError: the prompt cannot be read.
            ModelError: the state is another model's, or of more than one sequence.

        >>> import bio_xlstm as bx
        >>> len(bx.load("chem-small").generate(3, seed=1, longest=100))
        3
        """
        from bio_xlstm.sampling.writing import write_sequences

        return write_sequences(self._model, count, prompt=prompt, state=state, slots=slots, **sampling)

    def encode_context(self, records: Iterable[Any]) -> ModelState:
        """Read records (or strings) as a context, and return the memory of it, for `score` and `generate`.

        It has a fixed size whatever the context's. SequenceError names a member that cannot be read, ModelError a
        model that reads no context.
        """
        from bio_xlstm.context import encode_context

        return encode_context(self._model, records)

    @property
    def _model(self) -> "SequenceModel":
        """Return the model that this is a part of."""
        return cast("SequenceModel", self)
