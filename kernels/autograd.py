"""How the primitives stand to autograd and autocast: first derivatives only, and the precision they are given."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Door = TypeVar("Door", bound=Callable[..., Any])


def primitive(door: Door) -> Door:
    """Guard the door of a primitive, and let it compute in the precision of its inputs, also under autocast.

    Autocast would round the inside of a primitive to half precision, gates and states too, and give its gradients
    other types than its inputs. States made in inference mode are copied where they meet gradients.

    What the door gets is checked as far as that is the same everywhere: ValueError names what is no tensor, what lies
    on another device and a `reverse` that is no bool; RuntimeError says that there are no forward derivatives.
    """
    parameters = signature(door).parameters
    tensors = {name for name, parameter in parameters.items() if parameter.annotation is Tensor}

    @wraps(door)
    def run(*args: Any, **options: Any) -> Any:
        given = [*zip(parameters, args, strict=False), *options.items()]
        for name, value in given:
            if name in tensors and not isinstance(value, Tensor):
                raise ValueError(f"{name} must be a tensor, got {type(value).__name__}")
        if not isinstance(options.get("reverse", False), bool):
            raise ValueError(f"reverse must be True or False, got {options['reverse']!r}")
        found = [(name, x) for name, value in given if name != "cu_seqlens" for x in _tensors_in(value)]
        _check_together(found, tangents=options.get("backend") == "reference")
        if torch.is_grad_enabled() and any(x.is_inference() for _, x in found):
            args = tuple(_usable(value) for value in args)
            options = {name: _usable(value) for name, value in options.items()}
        with ExitStack() as off:
            for kind in {x.device.type for _, x in found}:
                if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                    off.enter_context(torch.autocast(kind, enabled=False))
            return door(*args, **options)

    return cast(Door, run)


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """Go through the tensors of an argument, a state or weights."""
    if isinstance(value, Tensor):
        yield value
    # prepared weights stand for the plain ones
    elif isinstance(parts := getattr(value, "plain", value), tuple):
        for part in parts:
            yield from _tensors_in(part)


def _check_together(found: list[tuple[str, Tensor]], tangents: bool) -> None:
    """Refuse tensors of several devices, and the tangents of forward derivatives where they would get lost."""
    # weights that come together are checked by their own door, one by one
    alone = [(name, x) for name, x in found if name != "weights"]
    if len({x.device for _, x in alone}) > 1:
        places = ", ".join(dict.fromkeys(f"{name} on {x.device}" for name, x in alone))
        raise ValueError(f"all tensors must be on one device: {places}")
    if tangents or forward_ad._current_level < 0:
        return
    if any(forward_ad.unpack_dual(x).tangent is not None for _, x in found):
        raise RuntimeError(
            'the compiled and chunkwise kernels have no forward derivatives: compute with backend="reference" where '
            "they are needed"
        )


def _usable(value: Any) -> Any:
    """Copy tensors of inference mode, which autograd cannot keep."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if not isinstance(value, tuple):
        return value
    parts = [_usable(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


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
