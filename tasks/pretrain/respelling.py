"""Write molecules anew from a random atom while training; RDKit is imported at the first molecule."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.errors import SequenceError
from bio_xlstm.records.chemistry import parsed
from bio_xlstm.tasks.pretrain.luck import mixed, uniform
from bio_xlstm.tasks.pretrain.packing import Letters
from bio_xlstm.tasks.pretrain.windows import Windows
from bio_xlstm.tokenizers import Tokenizer

_CHOSEN, _ATOMS = 11, 12


class Respelling:
    """Choose whole molecules by the chance (D,) of their domain and spell them in another order of their atoms."""

    def __init__(self, tokenizer: Tokenizer, chances: Sequence[float]) -> None:
        self.tokenizer, self.chances = tokenizer, np.asarray(chances, float)

    def chosen(self, windows: Windows, keys: np.ndarray) -> np.ndarray:
        """Mark the molecules (S,) that are written anew."""
        complete = windows.opens & windows.closes
        return complete & (uniform(keys, _CHOSEN) < self.chances[windows.domain])

    def room(self, lengths: np.ndarray) -> np.ndarray:
        """Return how many tokens (S,) more another spelling may have; where it needs more, the old one stays."""
        return lengths // 3 + 2

    def spell(self, letters: Letters, chosen: np.ndarray, allowed: np.ndarray) -> Letters:
        """Write the chosen molecules (S,) anew."""
        rows = np.split(letters.ids, np.cumsum(letters.lengths)[:-1])
        most = letters.lengths + self.room(letters.lengths)
        seeds = mixed(letters.keys, _ATOMS)
        for number in np.flatnonzero(chosen).tolist():
            rows[number] = self._spelled(rows[number], int(seeds[number]), int(most[number]))
        ids = np.concatenate(rows)
        lengths = np.array([len(row) for row in rows])
        weights = np.ones(len(ids), np.float32)
        return letters._replace(ids=ids, lengths=lengths, weights=weights, asked=allowed[ids])

    def _spelled(self, ids: np.ndarray, seed: int, most: int) -> np.ndarray:
        """Spell one molecule with its atoms in random order; as it was if that fails or is too long."""
        from rdkit import Chem, RDLogger

        RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
        molecule = parsed(self.tokenizer.decode(ids))
        if molecule is None:
            return ids
        order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms()).tolist()
        text = Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)
        try:
            spelled = self.tokenizer.encode(text).astype(np.int64)
        except SequenceError:
            return ids
        return spelled if 0 < len(spelled) <= most else ids
