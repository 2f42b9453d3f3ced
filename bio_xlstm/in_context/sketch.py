"""Sketches: signs whose mean product over two molecules estimates the Tanimoto similarity of their substructures.

One sign per hash function, that of the substructure which hashes lowest (minwise hashing: Broder 1997; one bit of it:
Li and Koenig 2010). A substructure met c times stands for itself and c - 1 copies, so that counts are compared too. A
sketch is a vector: linear methods on sketches are kernel methods with the similarity as their kernel.
"""

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.sampling.counter import mixed

# copies of a substructure beyond so many say no more
_MOST = 8


def sketch(bits: Tensor, offsets: Tensor, counts: Tensor, width: int) -> Tensor:
    """Sketch N molecules whose substructures are `bits[offsets[n]:offsets[n + 1]]`: packed signs (N, width / 8) uint8.

    A molecule without substructures has all signs alike, as every other one of that kind.
    """
    keys = mixed(torch.arange(2 * width, dtype=torch.int64)).numpy().astype(np.uint32)
    factors, summands = keys[:width] | np.uint32(1), keys[width:]
    copies = counts.clamp(1, _MOST).long()
    begins = torch.cat([torch.zeros(1, dtype=torch.int64), copies.cumsum(0)])
    # which copy of its substructure each entry is
    place = torch.arange(int(begins[-1])) - torch.repeat_interleave(begins[:-1], copies)
    owned = torch.repeat_interleave(bits.long(), copies) * _MOST + place
    hashed = mixed(owned).numpy().astype(np.uint32)
    ends = torch.cat([offsets[1:], torch.tensor([len(bits)])])
    first, last = begins[offsets].numpy(), begins[ends].numpy()
    found = np.zeros((len(offsets), width), np.uint32)
    for own, begin, end in zip(found, first.tolist(), last.tolist(), strict=True):
        if end > begin:
            # of all the copies, (entries, width), the lowest; the products wrap
            (hashed[begin:end, None] * factors + summands).min(0, out=own)
    signs = mixed(torch.from_numpy(found.astype(np.int64)) + torch.arange(width)) & 1
    return torch.from_numpy(np.packbits(signs.numpy().astype(np.uint8), axis=1))


def unpacked(packed: Tensor) -> Tensor:
    """Turn packed signs (N, W / 8) into unit vectors (N, W) float32."""
    signs = torch.from_numpy(np.unpackbits(packed.cpu().numpy(), axis=1)).to(packed.device)
    return (signs.float() * 2 - 1) * signs.shape[1] ** -0.5
