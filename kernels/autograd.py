"""How the primitives stand to autograd and autocast: first derivatives only, and the precision they are given."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Door = TypeVar("Door", bound=Callable[..., Any])


def given_precision(door: Door) -> Door:
    """Let a primitive compute in the precision of its inputs, also under autocast.

    Autocast would round the inside of a primitive to half precision, gates and states too, and give its gradients
    other types than its inputs.
    """

    @wraps(door)
    def run(*args: Any, **options: Any) -> Any:
        kinds = {x.device.type for x in (*args, *options.values()) if isinstance(x, Tensor)}
        with ExitStack() as off:
            for kind in kinds:
                if torch.is_autocast_enabled(kind):
                    off.enter_context(torch.autocast(kind, enabled=False))
            return door(*args, **options)

    return cast(Door, run)


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make the backward of an autograd function plain: its result is not differentiated again.

    Where that is asked for it raises RuntimeError: leaving the inputs' part out in silence would be wrong.
    """

    @wraps(backward)
    def run(ctx: Any, *gradients: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the compiled and chunkwise kernels have no second derivatives (create_graph=True): "
                'compute with backend="reference" where they are needed'
            )
        kind = next((gradient.device.type for gradient in gradients if gradient is not None), "cpu")
        with torch.autocast(kind, enabled=False):
            return backward(ctx, *gradients)

    return run
