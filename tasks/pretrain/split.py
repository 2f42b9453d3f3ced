"""Ways to hold sequences out of training.

Every way takes the pieces of a corpus and gives (training pieces, held-out pieces); what is in neither is too
close to both. All choices are hashes of the sequence or its scaffold: they do not depend on the order of files.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import compress

import numpy as np

from bio_xlstm.tasks.pretrain.settings import Domain
from bio_xlstm.tasks.pretrain.token_store import Piece

Parts = tuple[list[Piece], list[Piece]]

_WORD = 8
_REPEATED = 0.9
_SHARED_WORDS = 2


def chance(key: bytes, seed: int) -> float:
    """Return a number in [0, 1) that depends on key and seed alone."""
    digest = hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64


def by_hash(pieces: Sequence[Piece], domains: Sequence[Domain], seed: int) -> Parts:
    """Hold out every sequence whose own hash falls into the share of its domain."""
    held = [chance(piece.ids.tobytes(), seed) < domains[piece.domain].held_out for piece in pieces]
    return _divide(pieces, held)


def by_scaffold(pieces: Sequence[Piece], domains: Sequence[Domain], seed: int) -> Parts:
    """Hold out every molecule whose Murcko scaffold hashes into the share of its domain.

    A scaffold held out in one domain is held out in all, so no held-out scaffold is ever trained on.
    Molecules that RDKit cannot read are in neither part.
    """
    keys = [scaffold_key(piece.text) for piece in pieces]
    share = max(domain.held_out for domain in domains)
    chances = [chance(key.encode(), seed) if key else 1.0 for key in keys]
    readable = [n for n, key in enumerate(keys) if key]
    train = [pieces[n] for n in readable if chances[n] >= share]
    held = [pieces[n] for n in readable if chances[n] < domains[pieces[n].domain].held_out]
    return train, held


def scaffold_key(smiles: str) -> str:
    """Return the Murcko scaffold without stereo marks; a molecule without rings is its own; "" if unreadable."""
    from rdkit import Chem, RDLogger
    from rdkit.Chem.Scaffolds import MurckoScaffold

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return ""
    scaffold = MurckoScaffold.GetScaffoldForMol(molecule)
    kept = scaffold if scaffold.GetNumAtoms() else molecule
    return Chem.MolToSmiles(kept, isomericSmiles=False)


def by_families(pieces: Sequence[Piece], domains: Sequence[Domain], seed: int) -> Parts:
    """Hold out proteins and drop from training everything that resembles them.

    First, a protein of whose 8-residue words more than 90 % stand in the proteins before it is left out as a
    near-duplicate. Held-out proteins are then chosen by the hash of their sequence; a remaining protein that
    shares two or more different words with any of them is not trained on.
    """
    owners, words = _words(pieces)
    distinct = ~_mostly(_seen_before(words, owners), owners, len(pieces), _REPEATED)
    lucky = [chance(piece.ids.tobytes(), seed) < domains[piece.domain].held_out for piece in pieces]
    held = np.array(lucky, bool) & distinct
    held_words = np.unique(words[held[owners]])
    hits = np.unique(np.stack([owners, words], 1)[np.isin(words, held_words)], axis=0)[:, 0]
    related = np.bincount(hits, minlength=len(pieces)) >= _SHARED_WORDS
    train = distinct & ~held & ~related
    return list(compress(pieces, train)), list(compress(pieces, held))


def _words(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Code every word of eight residues as one integer; gives (owning piece, code), (P,) each."""
    lengths = np.array([len(piece.ids) for piece in pieces])
    ids = np.concatenate([piece.ids for piece in pieces]).astype(np.int64)
    owners = np.repeat(np.arange(len(pieces)), lengths)
    base = int(ids.max(initial=0)) + 1
    count = max(len(ids) - _WORD + 1, 0)
    codes = np.zeros(count, np.int64)
    for place in range(_WORD):
        codes = codes * base + ids[place : place + count]
    inside = owners[:count] == owners[_WORD - 1 :][:count]
    return owners[:count][inside], codes[inside]


def _seen_before(words: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Tell for every word whether an earlier piece holds it too."""
    _, first, inverse = np.unique(words, return_index=True, return_inverse=True)
    return owners[first][inverse] < owners


def _mostly(flags: np.ndarray, owners: np.ndarray, count: int, share: float) -> np.ndarray:
    """Tell for every piece whether more than a share of its words is flagged."""
    total = np.bincount(owners, minlength=count)
    return np.bincount(owners, weights=flags, minlength=count) > share * np.maximum(total, 1)


def by_tail(pieces: Sequence[Piece], domains: Sequence[Domain], seed: int) -> Parts:
    """Hold out the contiguous last share of every record."""
    train, held = [], []
    for piece in pieces:
        cut = len(piece.ids) - round(len(piece.ids) * domains[piece.domain].held_out)
        if cut > 0:
            train.append(piece._replace(ids=piece.ids[:cut], ends=cut == len(piece.ids)))
        if cut < len(piece.ids):
            held.append(piece._replace(ids=piece.ids[cut:], begins=cut == 0))
    return train, held


def _divide(pieces: Sequence[Piece], held: Sequence[bool]) -> Parts:
    """Sort pieces into training and held-out ones."""
    return [piece for piece, out in zip(pieces, held, strict=True) if not out], list(compress(pieces, held))


SPLITTERS: dict[str, Callable[[Sequence[Piece], Sequence[Domain], int], Parts]] = {
    "hash": by_hash,
    "scaffold": by_scaffold,
    "families": by_families,
    "tail": by_tail,
}
