"""In which precision a processor multiplies matrices fast."""

import torch

_NAMES = {torch.bfloat16: ("avx512_bf16", "amx_bf16"), torch.float16: ("avx512_fp16", "amx_fp16")}


def computing_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype for products of numbers of a dtype: their own where the processor computes in it, else float32.

    Without arithmetic for bfloat16 a product in it is emulated, five to eight times slower than in float32.
    """
    if device.type != "cpu" or dtype.itemsize > 2:
        return dtype
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return dtype if any(able.get(name, False) for name in _NAMES.get(dtype, ())) else torch.float32
