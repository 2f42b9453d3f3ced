"""An LSTM and a Transformer of torch's own modules that read the packed batches of an xLSTM."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# the feed-forward layer of a Transformer over its width, before it is widened to the wanted parameters
_FEED_FORWARD = 4
# the longest period of the sinusoids
_PERIOD = 10_000.0


class Peer(nn.Module):
    """Embed tokens, mix them over time within every window, and predict.

    torch's modules want rectangles: windows of like length are padded to the longest of them inside, and what stands in
    the padding is never seen by what is returned.
    """

    def __init__(self, vocabulary: int, width: int, outputs: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)
        self.norm = nn.LayerNorm(outputs)
        self.head = nn.Linear(outputs, vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=outputs**-0.5)

    def forward(self, tokens: Tensor, cu_seqlens: Tensor, places: Tensor | None = None) -> Tensor:
        """Return logits (1, T, V) of packed tokens (1, T); `places` (1, T) say where in their proteins they stand."""
        embedded = self.embed(tokens[0], cu_seqlens, None if places is None else places[0])  # (T, D)
        mixed = embedded.new_empty(len(embedded), self.norm.normalized_shape[0])
        for windows in alike(cu_seqlens.diff()):
            lengths = cu_seqlens.diff()[windows]
            grid = torch.arange(int(lengths.max()), device=tokens.device)
            inside = grid < lengths[:, None]  # (N, L)
            rows = cu_seqlens[windows][:, None] + grid
            padded = embedded[rows.clamp(max=len(embedded) - 1)]  # (N, L, D)
            mixed[rows[inside]] = self.mix(padded, lengths)[inside].to(mixed)
        logits: Tensor = self.head(self.norm(mixed))[None]
        return logits

    def embed(self, tokens: Tensor, cu_seqlens: Tensor, places: Tensor | None) -> Tensor:
        """Embed tokens (T,) where they stand."""
        raise NotImplementedError

    def mix(self, padded: Tensor, lengths: Tensor) -> Tensor:
        """Mix windows (N, L, D) over time; what comes of the padding does not matter."""
        raise NotImplementedError

    @property
    def parameter_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


class LstmPeer(Peer):
    """Stack LSTM layers; it hears of places in proteins only where the xLSTM does."""

    def __init__(self, vocabulary: int, width: int, *, layers: int, causal: bool) -> None:
        super().__init__(vocabulary, width, width * (1 if causal else 2))
        self.causal = causal
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, bidirectional=not causal)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_ih"):
                # a new LSTM remembers
                nn.init.constant_(parameter[width : 2 * width], 1.0)

    def embed(self, tokens: Tensor, cu_seqlens: Tensor, places: Tensor | None) -> Tensor:
        """Embed tokens (T,); the order of tokens is the LSTM's own."""
        embedded: Tensor = self.embedding(tokens)
        return embedded if places is None else embedded + sinusoids(places, self.width, embedded)

    def mix(self, padded: Tensor, lengths: Tensor) -> Tensor:
        """Run over windows (N, L, D), backwards from their own ends."""
        if self.causal:
            # padding stands behind everything that counts, and rectangles are faster
            plain: Tensor = self.lstm(padded)[0]
            return plain
        packed = pack_padded_sequence(padded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        mixed: Tensor = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]
        return mixed


class TransformerPeer(Peer):
    """Stack Transformer layers with norms first and sinusoidal positions.

    Where the xLSTM hears of places in proteins, half of the channels of the positions tell them.
    """

    def __init__(
        self, vocabulary: int, width: int, *, layers: int, heads: int, feed_forward: int, causal: bool
    ) -> None:
        super().__init__(vocabulary, width, width)
        self.causal = causal
        layer = nn.TransformerEncoderLayer(
            width, heads, feed_forward, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        # the stack copies one layer: every layer gets weights of its own, those into the residual stream smaller ones
        for name, parameter in self.layers.named_parameters():
            if parameter.ndim == 2:
                into_stream = name.endswith(("out_proj.weight", "linear2.weight"))
                std = parameter.shape[1] ** -0.5
                nn.init.normal_(parameter, std=std / (2 * layers) ** 0.5 if into_stream else std)

    def embed(self, tokens: Tensor, cu_seqlens: Tensor, places: Tensor | None) -> Tensor:
        """Embed tokens (T,) and add where in their windows they stand."""
        embedded: Tensor = self.embedding(tokens)
        lengths = cu_seqlens.diff().long()
        index = torch.arange(len(tokens), device=tokens.device)
        index = index - torch.repeat_interleave(cu_seqlens[:-1].long(), lengths)
        if places is None:
            return embedded + sinusoids(index, self.width, embedded)
        half = self.width // 2
        told = [sinusoids(index, half, embedded), sinusoids(places, self.width - half, embedded)]
        return embedded + torch.cat(told, -1)

    def mix(self, padded: Tensor, lengths: Tensor) -> Tensor:
        """Attend within windows (N, L, D), to what stands before where the model is causal."""
        size = padded.shape[1]
        mask = padding = None
        if self.causal:
            # padding stands behind everything that counts
            mask = nn.Transformer.generate_square_subsequent_mask(size, padded.device, padded.dtype)
        elif int(lengths.min()) < size:
            padding = torch.arange(size, device=padded.device) >= lengths[:, None]
        mixed: Tensor = self.layers(padded, mask=mask, src_key_padding_mask=padding, is_causal=self.causal)
        return mixed


def sinusoids(places: Tensor, width: int, like: Tensor) -> Tensor:
    """Return the sines and cosines (T, D) of places (T,)."""
    pairs = (width + 1) // 2
    rates = torch.exp(torch.arange(pairs, device=places.device) * (-math.log(_PERIOD) / pairs))
    angles = places.float()[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), -1)[:, :width].to(like)


def alike(lengths: Tensor) -> Iterator[Tensor]:
    """Yield the numbers of windows (N,) in groups whose shortest one is more than half as long as the longest."""
    order = torch.argsort(lengths, descending=True, stable=True)
    while len(order):
        longest = int(lengths[order[0]])
        near = int((2 * lengths[order] > longest).sum())
        yield order[:near]
        order = order[near:]


def fitting_lstm(wanted: int, vocabulary: int, *, layers: int, causal: bool) -> LstmPeer:
    """Build the LSTM whose parameters come nearest to a wanted number."""
    width = _nearest(wanted, lambda width: LstmPeer(vocabulary, width, layers=layers, causal=causal))
    return LstmPeer(vocabulary, width, layers=layers, causal=causal)


def fitting_transformer(
    wanted: int, vocabulary: int, *, layers: int, heads: int, causal: bool
) -> TransformerPeer:
    """Build the Transformer whose parameters come nearest to a wanted number.

    Its width is the largest whose feed-forward layers are four times as wide; they are widened to what is missing.
    """
    fixed: dict[str, Any] = {"layers": layers, "heads": heads, "causal": causal}
    step = 2 * heads

    def usual(number: int) -> Peer:
        width = step * number
        return TransformerPeer(vocabulary, width, feed_forward=_FEED_FORWARD * width, **fixed)

    width = step * _nearest(wanted, usual, above=False)
    feed_forward = _nearest(
        wanted, lambda size: TransformerPeer(vocabulary, width, feed_forward=size, **fixed)
    )
    return TransformerPeer(vocabulary, width, feed_forward=feed_forward, **fixed)


def _nearest(wanted: int, build: Callable[[int], Peer], *, above: bool = True) -> int:
    """Return the size whose model comes nearest to a wanted number of parameters, from below where not `above`."""

    def count(size: int) -> int:
        with torch.device("meta"):
            return build(size).parameter_count

    high = 2
    while count(high) <= wanted:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= wanted else (low, middle)
    return high if above and count(high) - wanted < wanted - count(low) else low
