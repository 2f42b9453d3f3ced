"""Steps of a stack on a CUDA device, recorded once and replayed: the launches cost nothing any more."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Stack = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class GraphedStack:
    """Read one token per slot by replaying a CUDA graph of all S slots, in which slots not stepped are passed over.

    The graph is recorded at the first step; where that fails, the stack runs as it is, with a warning.
    """

    def __init__(self, stack: Stack, slots: int, device: torch.device) -> None:
        self.stack: Stack = stack
        self.tokens = torch.zeros(slots, dtype=torch.int64, device=device)
        self.slots = torch.full((slots,), -1, dtype=torch.int64, device=device)
        self.turn: Tensor | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.logits: Tensor | None = None
        self.eager = False

    def __call__(self, tokens: Tensor, slots: Tensor, turn: Tensor | None = None) -> Tensor:
        """Take tokens (n,) and their slots (n,), give logits (n, vocabulary) in float32."""
        if self.graph is None and not self.eager:
            if turn is not None:
                self.turn = turn.new_zeros(len(self.slots), *turn.shape[1:])
            self._record()
        if self.graph is None or self.logits is None:
            return self.stack(tokens, slots, turn)
        self.slots.fill_(-1)
        self.slots[slots] = slots
        self.tokens[slots] = tokens
        if self.turn is not None and turn is not None:
            self.turn[slots] = turn
        self.graph.replay()
        return self.logits[slots]

    def _record(self) -> None:
        """Record a step; no slot is named, so no memory changes, neither here nor while kernels are compiled."""
        try:
            stream = torch.cuda.Stream(self.tokens.device)
            stream.wait_stream(torch.cuda.current_stream(self.tokens.device))
            with torch.cuda.stream(stream):
                self.stack(self.tokens, self.slots, self.turn)
            torch.cuda.current_stream(self.tokens.device).wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.logits = self.stack(self.tokens, self.slots, self.turn)
            self.graph = graph
        except RuntimeError as error:
            self.eager = True
            warnings.warn(f"decoding without a CUDA graph: {error}", RuntimeWarning, stacklevel=3)
