"""What a drawn sequence is worth by itself: whether it is valid, what it is like, and why it is refused."""

from typing import Any, Protocol

import numpy as np

from bio_xlstm.records.chemistry import parsed
from bio_xlstm.sampling.rows import Sample
from bio_xlstm.tasks.generate.candidate import Candidate
from bio_xlstm.tasks.generate.kept import Kept
from bio_xlstm.tasks.generate.molecule import Demands, measure, refuse
from bio_xlstm.tasks.generate.repeats import remarks
from bio_xlstm.tokenizers.tokenizer import Tokenizer

TOO_LONG = "too long"


class Judge(Protocol):
    """Turn a sample into a candidate."""

    def __call__(self, sample: Sample) -> Candidate:
        """Say what is known of a sample."""


class MoleculeJudge:
    """Judge molecules by RDKit."""

    def __init__(self, tokenizer: Tokenizer, demands: Demands) -> None:
        self.tokenizer, self.demands = tokenizer, demands
        self._kept = None if demands.scaffold is None else Kept(demands.scaffold)

    def __call__(self, sample: Sample) -> Candidate:
        """Read a molecule, and measure it where it is not refused before."""
        from rdkit import Chem
        from rdkit.rdBase import BlockLogs

        text = self.tokenizer.decode(sample.ids)
        found = _plain(sample, text)
        if not sample.ended:
            return found._replace(reason=TOO_LONG if self.demands.valid else "")
        with BlockLogs():
            molecule = parsed(text) if text else None
        if molecule is None:
            return found._replace(reason="not valid" if self.demands.valid else "")
        canonical = Chem.MolToSmiles(molecule)
        found = found._replace(valid=True, canonical=canonical, reason=self._refuse(molecule))
        if found.reason:
            return found
        measured, reason = measure(molecule, self.demands.windows)
        return found._replace(measured=measured, reason=reason)

    def _refuse(self, molecule: Any) -> str:
        changed = "" if self._kept is None else self._kept.refuse(molecule)
        return changed or refuse(molecule, self.demands)


class SequenceJudge:
    """Judge proteins and DNA: valid is what came to its end by itself."""

    def __init__(self, tokenizer: Tokenizer, *, valid_only: bool, ends: bool) -> None:
        # DNA models read pieces of chromosomes, which have no end
        self.tokenizer, self.valid_only, self.ends = tokenizer, valid_only, ends

    def __call__(self, sample: Sample) -> Candidate:
        """Look at a sequence."""
        text = self.tokenizer.decode(sample.ids)
        valid = bool(text) and (sample.ended or not self.ends)
        refused = self.valid_only and not valid
        reason = "" if not refused else "empty" if not text else TOO_LONG
        return _plain(sample, text)._replace(
            valid=valid,
            canonical=text if valid else "",
            reason=reason,
            notes=remarks(text, self.tokenizer.kind),
        )


def _plain(sample: Sample, text: str) -> Candidate:
    """Describe a sample as far as the model does."""
    length = len(sample.ids)
    return Candidate(
        sample.number, text, length, length + sample.ended, sample.logprob, sample.ended, False, "", ""
    )


def respelled(sample: Sample, tokenizer: Tokenizer) -> np.ndarray | None:
    """Return the ids by which the tokenizer writes a sample's text, where they are others than were drawn."""
    text = tokenizer.decode(sample.ids)
    prepared = tokenizer.prepare(text)
    if prepared.status != "ok" or np.array_equal(prepared.ids, sample.ids):
        return None
    return prepared.ids
