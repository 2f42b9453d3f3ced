"""Numerical self-tests that a user can run: do the backends agree, and is a result free of its batch?"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch

    from bio_xlstm.models.model import SequenceModel

# relative, float32 against float64 or against another batch; errors on a sound machine are below 5e-7
TOLERANCE = 1e-5


class Check(NamedTuple):
    """Hold the outcome of one self-test."""

    name: str
    passed: bool
    detail: str


def run_checks(models: list["SequenceModel"], device: "str | torch.device" = "cpu") -> list[Check]:
    """Run every self-test on a device; batch invariance on `models`, a small fresh one if empty."""
    from bio_xlstm.models.build import build

    if not models:
        models = [build("protein", dim=64, blocks=2, heads=4, seed=0).to(device).eval()]
    checks = check_primitives(device)
    settings: dict[str, Any] = {
        "dim": 64,
        "blocks": 3,
        "heads": 4,
        "slstm_at": (1,),
        "direction": "shared",
        "objective": "masked",
    }
    tied = build("dna", reverse_complement="equivariant", seed=0, **settings).to(device).eval()
    for model in models:
        checks += check_batch_invariance(model)
    equivariant = [model for model in [*models, tied] if model.config.equivariant]
    return [*checks, check_reverse_complement(), *map(check_equivariance, equivariant)]


def check_primitives(device: "str | torch.device") -> list[Check]:
    """Compare every backend that can run on the device with the reference: outputs, final states, all gradients."""
    from bio_xlstm.kernels.problems import PROBLEMS

    return [check for primitive in PROBLEMS for check in check_primitive(primitive, device)]


def check_primitive(primitive: str, device: "str | torch.device") -> list[Check]:
    """Compare the backends of one primitive with the reference."""
    import torch

    from bio_xlstm.kernels.choice import find_obstacle
    from bio_xlstm.kernels.problems import PROBLEMS
    from bio_xlstm.kernels.selftest import measure

    checks = []
    kind = torch.device(device).type
    exam = PROBLEMS[primitive]()
    for backend in exam.backends:
        if backend == exam.law or find_obstacle(backend, kind):
            continue
        name = f"{primitive}: {backend}"
        try:
            errors = measure(primitive, backend, device)
        except Exception as error:  # a compiler may fail in any way
            checks.append(Check(name, False, (str(error).splitlines() or [type(error).__name__])[0]))
            continue
        for what, value in (("forward", errors.forward), ("gradients", errors.gradients))[: 1 + exam.trained]:
            checks.append(Check(f"{name} {what}", value < TOLERANCE, f"relative error {value:.1e}"))
    return checks


def check_batch_invariance(model: "SequenceModel") -> list[Check]:
    """Compare sequences embedded packed, alone and, for a causal model, in two halves through the state."""
    from bio_xlstm.embedding import embed_batch
    from bio_xlstm.kernels.selftest import relative_error

    sequences = _random_sequences(model, lengths=(1, 2, 7, 61, 150))
    key = (model.layer_count - 1, "mean")
    together = [found[key] for found in embed_batch(model, sequences)]
    backwards = [found[key] for found in embed_batch(model, sequences[::-1])][::-1]
    alone = [embed_batch(model, [ids])[0][key] for ids in sequences]
    pairs = {"packed = alone": alone, "packed = packed in reverse order": backwards}
    if model.causal:
        # a budget below the length makes the longest sequence pass through the state
        pairs["packed = split through the state"] = [
            embed_batch(model, [ids], batch_tokens=97)[0][key] for ids in sequences
        ]
    found = {
        name: max(relative_error(one, two) for one, two in zip(others, together, strict=True))
        for name, others in pairs.items()
    }
    return [
        Check(f"{model.name}: {name}", error < TOLERANCE, f"relative error {error:.1e}")
        for name, error in found.items()
    ]


def check_reverse_complement() -> Check:
    """Reverse-complement a DNA sequence twice: the same ids, and the text that chemistry says in between."""
    import numpy as np

    from bio_xlstm.tokenizers import TOKENIZERS

    tokenizer = TOKENIZERS["dna"]()
    text = "".join(np.random.default_rng(0).choice(list("ACGTN"), 1001))
    ids = tokenizer.encode(text)
    once = tokenizer.reverse_complement(ids)
    expected = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    passed = tokenizer.decode(once) == expected and np.array_equal(tokenizer.reverse_complement(once), ids)
    return Check("tokenizer: reverse complement", passed, "twice is the identity" if passed else "is wrong")


def check_equivariance(model: "SequenceModel") -> Check:
    """Compare what an equivariant model says about sequences and about their reverse complements, base by base."""
    import torch

    from bio_xlstm.kernels.selftest import relative_error

    errors = []
    with torch.inference_mode():
        for ids in _random_sequences(model, lengths=(1, 2, 61, 150)):
            tokens = torch.from_numpy(ids.astype("int64"))[None].to(model.device)
            turned = model.complement[tokens.flip(1)]
            one, other = (model(side, with_state=False) for side in (tokens, turned))
            errors.append(relative_error(other.logits, one.logits[..., model.complement].flip(1)))
            errors.append(relative_error(other.hidden, one.hidden.flip(1, 2)))
    name = f"{model.name}: the model of the reverse complement = the reverse complement of the model"
    return Check(name, max(errors) < TOLERANCE, f"relative error {max(errors):.1e}")


def _random_sequences(model: "SequenceModel", lengths: tuple[int, ...]) -> list["np.ndarray"]:
    """Draw sequences of predictable symbols."""
    import numpy as np

    generator = np.random.default_rng(0)
    ids = np.flatnonzero(model.tokenizer.targets).astype(model.tokenizer.dtype)
    return [generator.choice(ids, length) for length in lengths]
