"""Reading and writing sequences token by token: many at once, each on its own."""

from bio_xlstm.decoding.decoder import Decoder

__all__ = ["Decoder"]
