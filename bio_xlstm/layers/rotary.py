"""The angles by which queries and keys turn with the positions of their tokens (Su et al. 2021)."""

import torch
from torch import Tensor

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.mixer import Rotation


def rotation_of(config: ModelConfig, place: Tensor, sequence: Tensor, dtype: torch.dtype) -> Rotation:
    """Return the rotation of tokens at places (B, T) of sequences (B, T), with angles in float32 at least."""
    if config.rotary == "inner_2d":
        span = int(place.max()) + 1
        distinct, index = torch.unique(place + sequence * span, return_inverse=True)
        width = config.inner * config.max_positions // (config.max_positions + config.max_sequences) // 2 * 2
        parts = ((distinct % span, width), (distinct // span, config.inner - width))
        angles = torch.cat([_angles(where, part, config.rotary_base) for where, part in parts], dim=-1)
    else:
        distinct, index = torch.unique(place, return_inverse=True)
        together = config.inner // config.heads if config.rotary == "head" else config.inner
        angles = _angles(distinct, together, config.rotary_base)
    wide = torch.promote_types(dtype, torch.float32)
    cos, sin = (table.to(wide).to(place.device) for table in (angles.cos(), angles.sin()))
    return Rotation(cos, sin, index, config.rotary != "head")


def _angles(place: Tensor, width: int, base: float) -> Tensor:
    """Return the angles (P, width / 2) of pairs of channels, slower and slower.

    Places may be large, so they are multiplied in float64, on the CPU, as not every device has it.
    """
    pair = torch.arange(0, width, 2, dtype=torch.float64)
    return place.cpu().double()[:, None] * base ** (-pair / width)
