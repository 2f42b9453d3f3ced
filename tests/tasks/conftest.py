"""Tiny models and a shorthand for requests, shared by the tests of tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIZES = {"dim": 16, "blocks": 2, "heads": 2}


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Save one small causal model per kind and a bidirectional one for DNA; return their directories."""
    import bio_xlstm as bx

    folder = tmp_path_factory.mktemp("models")
    for kind, family in (("dna", "dna"), ("protein", "protein"), ("smiles", "chem")):
        bx.build(family, **SIZES, seed=0).save(folder / kind, card="# tiny\n\nLicence: Apache-2.0\n")
    both = bx.build("dna", **SIZES, direction="alternating", objective="masked", seed=0)
    both.save(folder / "both")
    return {name: str(folder / name) for name in ("dna", "protein", "smiles", "both")}


@pytest.fixture(scope="session")
def tiny_learner(tiny_models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a small in-context learner with weights of chance; return its directory."""
    import torch

    from bio_xlstm.in_context.config import InContextConfig
    from bio_xlstm.in_context.directory import save_in_context
    from bio_xlstm.in_context.model import InContextModel

    sizes = {"embedding": SIZES["dim"], "bits": 256, "hidden": 32, "dim": 16, "blocks": 2, "heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = InContextModel(InContextConfig(encoder=tiny_models["smiles"], **sizes), "tiny-icl")
    folder = tmp_path_factory.mktemp("learners") / "tiny-icl"
    save_in_context(model, folder, card="# tiny\n\nLicence: Apache-2.0\n")
    return str(folder)


@pytest.fixture
def ask(tiny_models: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that writes an input and makes a request of a class for it, with a tiny model."""

    def make(request: type, kind: str, name: str, text: str | bytes, output: str, /, **options: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        target = output if output == "-" else str(tmp_path / output)
        defaults = {"input": str(path), "output": target, "model": tiny_models[kind], "quiet": True}
        return request(**(defaults | options))

    return make


@pytest.fixture
def request_for(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that writes an input and asks for its embedding with a tiny model."""
    from bio_xlstm.tasks.embed.request import EmbedRequest

    def make(
        kind: str, name: str, text: str | bytes, output: str = "out.parquet", /, **options: Any
    ) -> EmbedRequest:
        return ask(EmbedRequest, kind, name, text, output, **options)

    return make
