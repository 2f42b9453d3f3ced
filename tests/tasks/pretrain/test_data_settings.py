"""What a recipe may say about its data, and every message about what is wrong."""

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.settings import parse_recipe


def data(domain: dict | None = None, **changes) -> dict:
    """Describe a recipe; keywords change [data], `domain` its only domain."""
    domains = [{"name": "a", "files": ["a.fasta"], **(domain or {})}]
    return {
        "model": {"family": "protein"},
        "data": {"kind": "protein", "domains": domains, **changes},
        "training": {"steps": 10},
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spans": "many"}, r"\[data\] spans must be one of multiple, always, single, none, not 'many'"),
        ({"infill_loss": "x"}, r"\[data\] infill_loss must be one of all, filled, not 'x'"),
        ({"test": 1.5}, r"\[data\] test must be a share between 0 and 1, not 1.5"),
        ({"masked_share": 0}, r"\[data\] masked_share must be above 0: nothing would be predicted"),
        (
            {"spans": "none", "infill_loss": "filled"},
            r"infill_loss = \"filled\" needs spans: with spans = \"none\" noth",
        ),
        (
            {"reverse_complement": 0.5},
            r"\[data\] reverse_complement is only possible for DNA",
        ),
        ({"soft_mask_weight": float("inf")}, r"soft_mask_weight must be a finite number, not inf"),
        ({"domain": {"weight": float("inf")}}, r"domain 'a': weight must be a finite number, not inf"),
        ({"domain": {"weight": 0}}, r"\[data\] weight is 0 for every domain that is trained on"),
        ({"domain": {"held_out": 1}}, r"every domain is held out as a whole: nothing is left to train on"),
        ({"domain": {"held_out": 0.7, "test": 0.3}}, r"every domain is held out as a whole"),
        ({"domain": {"set_share": 0.5}}, r"domain 'a': set_share needs sets, and this domain has none"),
        ({"masked_share": -1}, r"\[data\] masked_share must be a share between 0 and 1, not -1"),
        ({"reverse_complement": 2}, r"\[data\] reverse_complement must be a share"),
        ({"soft_mask_weight": -0.1}, r"\[data\] soft_mask_weight must not be negative, not -0.1"),
        ({"stages": 3}, r"\[data\] stages must be a list, not 3"),
        ({"stages": [[0, 64], [0, 128]]}, r"stages are pairs of a step and a window, such as"),
        ({"stages": [[5, 64]]}, r"stages are pairs"),
        ({"stages": [64, 128]}, r"stages are pairs"),
        ({"stages": [[0, 1]]}, r"stages are pairs"),
        ({"stages": [[0, 64, 3]]}, r"stages are pairs"),
        ({"stages": [[0, 9000]]}, r"batch_tokens \(8192\) must hold one window of 9000 tokens"),
        (
            {"domain": {"sets": "folder"}},
            r"domain 'a': sets must be one of none, file, line, column, not 'fol",
        ),
        ({"domain": {"files": []}}, r"domain 'a': files must be a list of at least one path, not \[\]"),
        ({"domain": {"files": [1]}}, r"domain 'a': files must be a list of at least one path, not \[1\]"),
        (
            {"split": "scaffold"},
            r"split = \"scaffold\" needs kind = \"smiles\", not 'protein'; split = \"hash\"",
        ),
        ({"split": "tail"}, r"split = \"tail\" needs kind = \"dna\""),
        ({"kind": "dna", "split": "families"}, r"split = \"families\" needs kind = \"protein\""),
        ({"domain": {"held_out": 2}}, r"domain 'a': held_out must be a share between 0 and 1, not 2"),
        ({"domain": {"test": 2}}, r"domain 'a': test must be a share between 0 and 1, not 2"),
        ({"domain": {"set_share": -1}}, r"domain 'a': set_share must be a share"),
        ({"domain": {"weight": -1}}, r"domain 'a': weight must not be negative, not -1"),
        ({"domain": {"sets": "column"}}, r"domain 'a': set_column goes with sets = \"column\""),
        ({"domain": {"set_column": "id"}}, r"domain 'a': set_column goes with sets = \"column\""),
        ({"domain": {"region_split": True}}, r"domain 'a': region_split needs regions"),
        ({"domain": {"region_split": 1}}, r"\[\[data.domains\]\] region_split must be true or false, not 1"),
        ({"domain": {"sets": "line"}}, r"domain 'a': sets = \"line\" is for molecules"),
        ({"domain": {"randomize": 0.5}}, r"domain 'a': randomize is for molecules"),
        ({"domain": {"regions": "x.bed"}}, r"domain 'a': regions are for DNA"),
        ({"kind": "dna", "domain": {"sets": "file"}}, r"domain 'a': DNA has no sets"),
    ],
)
def test_every_mistake_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipe(data(**changes))


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../a.fasta", "x/../../a.fasta", "C:\\a.fasta", "C:a.fasta", "\\\\share\\a.fasta"],
)
@pytest.mark.parametrize("key", ["files", "regions"])
def test_files_lie_below_the_data_folder(name: str, key: str) -> None:
    message = r"domain 'a': files lie below the data folder \(--data\) and are named from there, without"
    with pytest.raises(ConfigError, match=message):
        parse_recipe(data(domain={key: [name] if key == "files" else name}))


def test_a_pattern_of_folders_stands_alone() -> None:
    assert parse_recipe(data(domain={"files": ["**/a*.fasta", "b..fasta"]}))
    with pytest.raises(
        ConfigError, match=r"domain 'a': \*\* stands for folders and needs a part of the path"
    ):
        parse_recipe(data(domain={"files": ["**.fasta"]}))


def test_one_domain_to_train_on_is_enough() -> None:
    given = data()
    given["data"]["domains"] += [
        {"name": "b", "files": ["b.fasta"], "held_out": 1.0},
        {"name": "c", "files": ["c.fasta"], "weight": 0},
    ]
    assert len(parse_recipe(given).data.domains) == 3


def test_stages_are_pairs_of_whole_numbers() -> None:
    recipe = parse_recipe(data(stages=[[0, 64], [10, 2048]], window=512))
    assert recipe.data.stages == ((0, 64), (10, 2048)) and recipe.data.longest_window == 2048


def test_what_only_decides_how_data_are_shown_leaves_the_corpus_alone() -> None:
    key = parse_recipe(data()).corpus_key()
    shown = {
        "window": 64,
        "stages": [[0, 32]],
        "spans": "single",
        "infill_loss": "filled",
        "masked_share": 0.3,
    }
    assert parse_recipe(data(**shown, domain={"weight": 3.0})).corpus_key() == key
    sets = [{"sets": "file", "set_share": share} for share in (1.0, 0.5)]
    assert len({parse_recipe(data(domain=domain)).corpus_key() for domain in sets}) == 1
    for changes in ({"test": 0.1}, {"soft_mask_weight": 0.5}, {"domain": {"sets": "file"}}):
        assert parse_recipe(data(**changes)).corpus_key() != key
    halves = [parse_recipe(data(soft_mask_weight=weight)).corpus_key() for weight in (0.5, 0.2)]
    assert halves[0] == halves[1]
