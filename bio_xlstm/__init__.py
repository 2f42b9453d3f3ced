"""Language models of biological and chemical sequences built on xLSTM.

Loading a model and using it takes two lines::

    import bio_xlstm as bx
    model = bx.load("protein-small")
    vectors = model.embed(["MKTAYIAKQR", "GSHMLEDPVD"])   # (2, D) float32
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bio_xlstm.models.build import build as build
    from bio_xlstm.models.directory import load as load

__version__ = "0.1.0"

# a wheel holds kernels, tasks and cli inside this package; a checkout holds them beside it
_here = Path(__file__).parent
if not (_here / "kernels").is_dir():
    __path__.append(str(_here.parent))

# the public doors are imported on first use, so that `import bio_xlstm` stays instant
_DOORS = {"load": "bio_xlstm.models.directory", "build": "bio_xlstm.models.build"}
__all__ = ["__version__", "build", "load"]


def __getattr__(name: str) -> Any:
    """Import a public door when it is first asked for."""
    if name not in _DOORS:
        raise AttributeError(f"module 'bio_xlstm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_DOORS[name]), name)
