"""A fine-tuned model on the disk: an ordinary model directory with a head, and finetune.json beside it.

DIR holds the first member, DIR/member-2 and so on the others of an ensemble, which hold a network of their own only
where it was tuned.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bio_xlstm import __version__
from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.errors import ModelError
from bio_xlstm.heads.features import Features
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.models.directory import CONFIG, WEIGHTS, load
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.answers import Answers, joined
from bio_xlstm.tasks.finetune.member import Member
from bio_xlstm.tasks.finetune.trust import Trust
from bio_xlstm.tasks.finetune.views.choose import VIEWS
from bio_xlstm.tasks.journal import file_hash

FORMAT = 1
ABOUT, HEAD, STATE, DOMAIN = "finetune.json", "head.safetensors", "initial.state", "domain.safetensors"
# what names in the file of a head begin with
_VIEW, _PLAIN = "view.", "plain."


@dataclass(frozen=True)
class Finetuned:
    """Hold a fine-tuned model as it is used: members, calibration, and what it was trained on."""

    name: str
    task: Task
    members: tuple[Member, ...]
    trust: Trust
    domain: Domain
    about: Mapping[str, Any]

    @property
    def model(self) -> SequenceModel:
        """Return the network of the first member: its tokenizer reads for all."""
        return self.members[0].model

    def answer(self, sequences: Sequence[np.ndarray], batch_tokens: int = 8192) -> Answers:
        """Answer for sequences of token ids; probabilities are calibrated."""
        return self.trust(joined([member.answer(sequences, batch_tokens) for member in self.members]))


def member_folder(directory: Path, number: int) -> Path:
    """Return the folder of a member, counted from 0."""
    return directory if not number else directory / f"member-{number + 1}"


def save_member(member: Member, folder: Path, *, with_model: bool, card: str = "") -> None:
    """Write a member: its head, its initial state, and its network where it is its own."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    if with_model:
        member.model.save(folder, card)
    if member.state is not None:
        member.state.keep(member.model).save(folder / STATE)
    # one entry: several would come in an order of their own every time
    about = {**member.features._asdict(), "link": member.head.link}
    if member.views:
        about["views"] = [view.name for view in member.views]
    described = {"head": json.dumps(about)}
    # last: a member with a head is whole
    partial = folder / f"{HEAD}.part"
    partial.write_bytes(save(_tensors(member), described))
    partial.replace(folder / HEAD)


def load_member(folder: Path, model: SequenceModel) -> Member:
    """Read a member; `model` is its network where the folder holds none. ModelError names what is missing or wrong."""
    from safetensors import SafetensorError, safe_open

    if (folder / WEIGHTS).is_file():
        model = load(folder, device=model.device, dtype=model.dtype)
    try:
        with safe_open(str(folder / HEAD), framework="pt") as file:
            about = json.loads((file.metadata() or {})["head"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        layers, pools, length = (about[name] for name in ("layers", "pools", "length"))
        views = tuple(VIEWS[name].of(_under(tensors, f"{_VIEW}{name}.")) for name in about.get("views", ()))
        others = _under(tensors, _PLAIN)
        plain = PredictionHead.of(others, about["link"]).to(model.device) if others else None
        own = {name: one for name, one in tensors.items() if not name.startswith((_VIEW, _PLAIN))}
        head = PredictionHead.of(own, about["link"]).to(model.device)
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a complete fine-tuned model: {HEAD} is missing") from None
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / HEAD} is damaged, or no head: {error}") from None
    state = None
    if (folder / STATE).is_file():
        state = InitialState.of(model, ModelState.load(folder / STATE, model.device)).to(model.device)
    return Member(model, Features(tuple(layers), tuple(pools), length), head, state, views, plain)


def _tensors(member: Member) -> dict[str, Tensor]:
    """Return the tensors of a head, of its views, and of the head for sequences that those do not take."""
    found = member.head.tensors()
    for view in member.views:
        arrays = view.arrays().items()
        # eigenvectors lie in memory column by column, which the file cannot hold
        rows = {name: np.ascontiguousarray(array) for name, array in arrays}
        found |= {f"{_VIEW}{view.name}.{name}": torch.from_numpy(array) for name, array in rows.items()}
    if member.plain is not None:
        found |= {f"{_PLAIN}{name}": one for name, one in member.plain.tensors().items()}
    return found


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    """Return the tensors whose names begin so, without the beginning; those of views as arrays."""
    found = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
    return {name: one.numpy() for name, one in found.items()} if prefix.startswith(_VIEW) else found


def about_record(task: Task, trust: Trust, members: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what finetune.json holds."""
    return {
        "format": FORMAT,
        "version": __version__,
        "task": {"name": task.name, "targets": list(task.targets), "classes": list(task.classes)},
        "members": members,
        "calibration": trust.to_record(),
        **about,
    }


def save_about(directory: Path, record: Mapping[str, Any], domain: Domain) -> None:
    """Write what all members share; finetune.json comes last and makes the directory whole."""
    from safetensors.numpy import save

    (directory / DOMAIN).write_bytes(
        save({k: np.ascontiguousarray(v) for k, v in domain.to_arrays().items()})
    )
    partial = directory / f"{ABOUT}.part"
    partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(directory / ABOUT)


def read_about(directory: str | Path) -> dict[str, Any]:
    """Read finetune.json; ModelError where there is none of this version."""
    path = Path(directory) / ABOUT
    if not path.is_file():
        raise ModelError(
            f"{directory} is no fine-tuned model: {ABOUT} is missing; `bioxlstm finetune DATA.csv -o DIR` makes one"
        )
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = about["format"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise ModelError(f"{path} is damaged") from None
    if version != FORMAT:
        raise ModelError(f"{path} has format {version}; this version of bio_xlstm reads format {FORMAT}")
    return about


def load_finetuned(directory: str | Path, device: Any = "cpu", dtype: Any = None) -> Finetuned:
    """Load a fine-tuned model; ModelError names the file that is missing, damaged or of another format."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    directory = Path(directory)
    about = read_about(directory)
    model = load(directory, device=device, dtype=dtype)
    members = tuple(
        load_member(member_folder(directory, number), model) for number in range(about["members"])
    )
    try:
        task = Task(about["task"]["name"], tuple(about["task"]["targets"]), tuple(about["task"]["classes"]))
        trust = Trust.from_record(task, about["calibration"])
        domain = Domain.from_arrays(load_file(directory / DOMAIN))
    except FileNotFoundError:
        raise ModelError(f"{directory} is not a complete fine-tuned model: {DOMAIN} is missing") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{directory} is damaged: {error}") from None
    return Finetuned(directory.resolve().name, task, members, trust, domain, about)


def finetuned_hash(directory: str | Path) -> str:
    """Return a hash of everything that decides a prediction."""
    import hashlib

    names = (ABOUT, HEAD, STATE, DOMAIN, WEIGHTS, CONFIG)
    found = sorted(path for name in names for path in Path(directory).glob(f"**/{name}"))
    digest = hashlib.sha256()
    for path in found:
        if "training" not in path.relative_to(directory).parts:
            digest.update(f"{path.relative_to(directory)} {file_hash(path)}\n".encode())
    return digest.hexdigest()
