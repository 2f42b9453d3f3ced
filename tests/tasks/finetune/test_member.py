"""A member with views is kept, answers one by one as in a batch, and answers for what a view cannot describe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.errors import ModelError
from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.candidates import Candidate
from bio_xlstm.tasks.finetune.closed_form import Chosen, Frozen, fit_form, fit_plain
from bio_xlstm.tasks.finetune.directory import HEAD, load_member, save_member
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.member import Member
from bio_xlstm.tasks.finetune.views.choose import make_views

TASK = Task("regression", ("y",))


def fitted(width: float | None, names: tuple[str, ...]) -> tuple[Member, list[np.ndarray]]:
    """Fit a member with views to 40 pieces of DNA of 12 bases; the value counts A at the third place and C anywhere."""
    model = bx.build("dna", dim=16, blocks=1, heads=2, seed=0).eval()
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(40)]
    ids = [model.tokenizer.encode(text) for text in texts]
    values = np.array([[2.0 * (text[2] == "A") + 0.1 * text.count("C")] for text in texts])
    features = Features((0, 1))
    views = tuple(view for view in make_views(model, ids) if view.name in names)
    described = {view.name: torch.from_numpy(view.describe(model, ids)) for view in views}
    points = torch.from_numpy(np.stack(embed_features(model, ids, features)))
    data = Frozen(points, values, deal_folds(np.arange(40)), features, 16, described)
    chosen = Chosen(Candidate((0, 1), width), 0.1, 0.0, [], tuple((view.name, 3.0) for view in views))
    head, plain = fit_form(data, TASK, chosen), fit_plain(data, TASK, chosen)
    return Member(model, features, head, views=views, plain=plain), ids


@pytest.mark.parametrize("width", [None, 1.0])
def test_a_member_with_views_is_kept(width: float | None, tmp_path: Path) -> None:
    member, ids = fitted(width, ("letters", "words", "positions"))
    save_member(member, tmp_path, with_model=False)
    again = load_member(tmp_path, member.model)
    mixed = [*ids[:3], member.model.tokenizer.encode("ACGTTT"), ids[3]]
    answers, kept = member.answer(mixed), again.answer(mixed)
    np.testing.assert_allclose(answers.predicted, kept.predicted, rtol=1e-5)
    np.testing.assert_allclose(answers.deviation, kept.deviation, rtol=1e-5)
    assert np.isfinite(answers.predicted).all() and np.isfinite(answers.deviation).all()
    alone = np.concatenate([again.answer([one]).predicted for one in mixed])
    np.testing.assert_allclose(alone, answers.predicted, rtol=1e-3, atol=1e-3)


def test_arrays_of_views_are_kept_in_any_order_of_memory(tmp_path: Path) -> None:
    member, ids = fitted(None, ("words",))
    (words,) = member.views
    arrays = {name: np.asfortranarray(array) for name, array in words.arrays().items()}
    turned = replace(member, views=(type(words).of(arrays),))
    assert not all(array.flags.c_contiguous for array in turned.views[0].arrays().values())
    save_member(turned, tmp_path, with_model=False)
    again = load_member(tmp_path, member.model)
    np.testing.assert_allclose(again.answer(ids).predicted, member.answer(ids).predicted, rtol=1e-5)


def test_another_length_is_answered_for_by_the_embedding_alone() -> None:
    member, ids = fitted(None, ("letters",))
    other = member.model.tokenizer.encode("ACGTTT")
    assert member.plain is not None
    plain = Member(member.model, member.features, member.plain)
    np.testing.assert_allclose(member.answer([other]).predicted, plain.answer([other]).predicted, rtol=1e-5)
    assert not np.allclose(member.answer(ids).predicted, plain.answer(ids).predicted, atol=1e-2)
    assert np.asarray(member.answer([]).predicted).shape == (0, 1)
    assert fitted(None, ("words",))[0].plain is None


def test_a_view_without_its_arrays_is_damage(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    member, _ = fitted(None, ("letters",))
    save_member(member, tmp_path, with_model=False)
    with safe_open(str(tmp_path / HEAD), framework="pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    del tensors["view.letters.columns"]
    save_file(tensors, str(tmp_path / HEAD), about)
    with pytest.raises(ModelError, match="head.safetensors is damaged, or no head"):
        load_member(tmp_path, member.model)
