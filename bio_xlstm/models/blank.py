"""Make a model whose weights are about to be read from a file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class without_drawing(TorchFunctionMode):  # noqa: N801 - used as a with statement, like torch.no_grad
    """Leave weights as they are where a module would draw them at random.

    Drawing numbers without memory behind them makes torch import its compiler, several seconds on a laptop.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Skip initialisers and draws, do everything else."""
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
