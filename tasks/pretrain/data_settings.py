"""What a recipe says about its data: domains, how they are split, cut and shown."""

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from bio_xlstm.errors import ConfigError

SPLITS = ("hash", "scaffold", "families", "tail")
# splits that only make sense for one kind of sequences
_SPLIT_KINDS = {"scaffold": "smiles", "families": "protein", "tail": "dna"}
SETS = ("none", "file", "line", "column")
SPANS = ("multiple", "always", "single", "none")
INFILL_LOSSES = ("all", "filled")

# what only decides how a prepared corpus is shown
_SHOWN = ("window", "stages", "reverse_complement", "spans", "infill_loss", "masked_share")
_DOMAIN_SHOWN = ("weight", "licence", "set_share", "randomize")


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Describe one part of the data: where it lies, what is held out, how often it is seen."""

    name: str
    files: tuple[str, ...]
    """Paths relative to the data folder; `*` stands for any part of a file name."""
    licence: str = ""
    limit: int = 0
    """Keep at most this many records, evenly spread over every file (0: all)."""
    held_out: float = 0.0
    """Share that is never trained on; 1 keeps the whole domain out of training."""
    test: float = -1.0
    """Share that is neither trained on nor looked at while choosing, taken before `held_out`; where negative, `test` of
    [data] if anything of this domain is held out."""
    weight: float = 1.0
    """How often an epoch shows every training window of this domain."""
    sets: str = "none"
    """What holds sequences that belong together and are read in one window: nothing, every file, every line (molecules
    joined by dots), or all records with the same word in `set_column`."""
    set_column: str = ""
    """Where a record names its set: a column of a table, `id`, or a word of the header counted from 1."""
    set_share: float = 1.0
    """Share of the sequences that an epoch shows within their sets; it shows the others one by one."""
    randomize: float = 0.0
    """Probability that a molecule is written anew from a random atom."""
    regions: str = ""
    """BED file of the parts of the sequences that count; everything where there is none."""
    region_split: bool = False
    """Whether the fourth column of `regions` says train, valid or test."""

    def __post_init__(self) -> None:
        where = f"domain {self.name!r}:"
        named = self.files and all(isinstance(name, str) and name for name in self.files)
        _require(bool(named), f"{where} files must be a list of at least one path, not {list(self.files)}")
        for name in (*self.files, self.regions):
            _below(where, name)
        _one_of(f"{where} sets", self.sets, SETS)
        for name in ("held_out", "set_share", "randomize"):
            _share(f"{where} {name}", getattr(self, name))
        _share(f"{where} test", max(self.test, 0))
        _not_negative(f"{where} weight", self.weight)
        _require(
            self.set_share == 1 or self.sets != "none",
            f"{where} set_share needs sets, and this domain has none",
        )
        _require(
            bool(self.set_column) == (self.sets == "column"), f'{where} set_column goes with sets = "column"'
        )
        _require(bool(self.regions) or not self.region_split, f"{where} region_split needs regions")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Describe the data of a run."""

    kind: str
    """Tokenizer: dna, protein or smiles."""
    domains: tuple[Domain, ...]
    split: str = "hash"
    """How held-out sequences are chosen; see `bio_xlstm.tasks.pretrain.split`."""
    held_out_limit: int = 0
    """Keep at most this many held-out sequences of every domain (0: all); the others are not trained on."""
    test: float = 0.0
    """Share of every domain that holds something out which is kept for the last look."""
    window: int = 1024
    """Longest sequence, or set of sequences, in tokens; longer ones are cut."""
    stages: tuple[tuple[int, int], ...] = ()
    """Windows that grow while training: from step s on, n tokens; nothing: always `window`."""
    reverse_complement: float = 0.0
    """Probability that a DNA window is shown as its reverse complement."""
    soft_mask_weight: float = 1.0
    """Weight of lower-case bases in the loss."""
    spans: str = "multiple"
    """What infill models find hidden: as many spans as a Poisson variate of mean 1 says (multiple), the same but at
    least one (always), one (single), or none."""
    infill_loss: str = "all"
    """What infill models predict: all residues, or only those of hidden spans (filled)."""
    masked_share: float = 0.15
    """Share of the letters that masked models predict."""
    seed: int = 0
    """Salt of the split."""

    def __post_init__(self) -> None:
        _one_of("[data] split", self.split, SPLITS)
        needed = _SPLIT_KINDS.get(self.split, self.kind)
        _require(
            self.kind == needed,
            f'[data] split = "{self.split}" needs kind = "{needed}", not {self.kind!r}; split = "hash" is for any',
        )
        _one_of("[data] spans", self.spans, SPANS)
        _one_of("[data] infill_loss", self.infill_loss, INFILL_LOSSES)
        _require(len(self.domains) > 0, "[data] needs at least one [[data.domains]]")
        names = [domain.name for domain in self.domains]
        _require(len(set(names)) == len(names), f"[data] domain names repeat: {', '.join(names)}")
        _require(self.window >= 2, f"[data] window must be at least 2 tokens, not {self.window}")
        _check_stages(self.stages)
        for domain in self.domains:
            self._check_kind(domain)
        for name in ("test", "reverse_complement", "masked_share"):
            _share(f"[data] {name}", getattr(self, name))
        _not_negative("[data] soft_mask_weight", self.soft_mask_weight)
        self._check_use()

    def _check_use(self) -> None:
        """Refuse data of which nothing is learnt."""
        _require(self.masked_share > 0, "[data] masked_share must be above 0: nothing would be predicted")
        _require(
            self.spans != "none" or self.infill_loss == "all",
            '[data] infill_loss = "filled" needs spans: with spans = "none" nothing would be predicted',
        )
        _require(
            not self.reverse_complement or self.kind == "dna",
            "[data] reverse_complement is only possible for DNA",
        )
        trained = [one for one in self.domains if one.region_split or one.held_out + self.test_share(one) < 1]
        _require(bool(trained), "[data] every domain is held out as a whole: nothing is left to train on")
        _require(
            any(domain.weight for domain in trained),
            "[data] weight is 0 for every domain that is trained on: nothing would be shown",
        )

    def _check_kind(self, domain: Domain) -> None:
        """Refuse what a kind of data cannot have."""
        where = f"domain {domain.name!r}:"
        _require(domain.sets == "none" or self.kind != "dna", f"{where} DNA has no sets")
        _require(domain.sets != "line" or self.kind == "smiles", f'{where} sets = "line" is for molecules')
        _require(not domain.randomize or self.kind == "smiles", f"{where} randomize is for molecules")
        _require(not domain.regions or self.kind == "dna", f"{where} regions are for DNA")

    @property
    def longest_window(self) -> int:
        """Return the most tokens of a window, in training and of held-out data."""
        return max([self.window, *(window for _, window in self.stages)])

    def test_share(self, domain: Domain) -> float:
        """Return the share of a domain that is for the test."""
        if domain.test >= 0:
            return domain.test
        return self.test if domain.held_out else 0.0

    def corpus_facts(self) -> dict[str, Any]:
        """Return all that decides the prepared corpus, as plain data."""
        described = asdict(self)
        for name in _SHOWN:
            del described[name]
        # only whether lower case counts is prepared
        described["soft_mask_weight"] = self.soft_mask_weight != 1
        for domain in described["domains"]:
            for name in _DOMAIN_SHOWN:
                del domain[name]
        return described


def _check_stages(stages: tuple[tuple[int, int], ...]) -> None:
    """Refuse stages that are no rising pairs of whole numbers from step 0 on."""
    pairs = all(isinstance(stage, tuple) and [type(n) for n in stage] == [int, int] for stage in stages)
    steps = [stage[0] for stage in stages] if pairs else []
    rising = all(a < b for a, b in zip(steps, steps[1:], strict=False))
    _require(
        not stages or (pairs and steps[0] == 0 and rising and all(stage[1] >= 2 for stage in stages)),
        f"[data] stages are pairs of a step and a window, such as [[0, 1024], [500, 4096]], not {stages}",
    )


def _below(where: str, name: str) -> None:
    """Refuse a path that does not lie below the data folder, whatever the data folder is."""
    kinds = (PurePosixPath(name), PureWindowsPath(name))
    outside = any(path.is_absolute() or path.drive or ".." in path.parts for path in kinds)
    _require(
        not outside,
        f"{where} files lie below the data folder (--data) and are named from there, without '..', not {name!r}",
    )
    stars = [part for part in kinds[0].parts if "**" in part and part != "**"]
    _require(
        not stars, f"{where} ** stands for folders and needs a part of the path for itself, not {name!r}"
    )


def _not_negative(name: str, value: float) -> None:
    """Refuse numbers below zero and what is no number."""
    _require(value >= 0, f"{name} must not be negative, not {value:g}")
    _require(isfinite(value), f"{name} must be a finite number, not {value:g}")


def _share(name: str, value: float) -> None:
    """Refuse what is no share."""
    _require(0 <= value <= 1, f"{name} must be a share between 0 and 1, not {value:g}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse an unknown word."""
    _require(value in known, f"{name} must be one of {', '.join(known)}, not {value!r}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
