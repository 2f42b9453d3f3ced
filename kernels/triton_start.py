"""The first import of Triton."""


def start() -> None:
    """Import what the GPU kernels are written in; an error says that it is missing or broken."""
    import triton
    import triton.language as tl

    _ = triton.jit, tl.dot
