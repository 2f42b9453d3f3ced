"""Drawing sequences from causal models."""

from bio_xlstm.sampling.choice import Sampling
from bio_xlstm.sampling.drawing import draw
from bio_xlstm.sampling.opening import Opening, open_sequence
from bio_xlstm.sampling.rows import Sample

__all__ = ["Opening", "Sample", "Sampling", "draw", "open_sequence"]
