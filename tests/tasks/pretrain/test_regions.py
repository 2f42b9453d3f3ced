"""Regions of genomes: what a BED file names is what is trained on, held out and tested."""

from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.settings import parse_recipe
from bio_xlstm.tasks.pretrain.token_store import TokenStore
from bio_xlstm.tokenizers import TOKENIZERS

DNA = TOKENIZERS["dna"]()
CHROMOSOMES = {"chr1": "ACGTacgtNNACGTTTGGCC", "chr2": "ggggCCCCaaaaTTTT", "chr3": "ACAC"}


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """Write a genome in lines of seven bases."""
    lines = [f">{name} of a test\n" for name in CHROMOSOMES]
    bodies = ["\n".join(text[n : n + 7] for n in range(0, len(text), 7)) for text in CHROMOSOMES.values()]
    (tmp_path / "g.fa").write_text("".join(a + b + "\n" for a, b in zip(lines, bodies, strict=True)))
    return tmp_path


def corpus(data: Path, bed: str, *, split: str = "tail", **domain) -> Corpus:
    """Prepare a genome with regions."""
    (data / "r.bed").write_text(bed)
    described = {"name": "g", "files": ["g.fa"], "regions": "r.bed", **domain}
    whole = {"kind": "dna", "split": split, "soft_mask_weight": 0.5, "domains": [described]}
    recipe = parse_recipe({"model": {"family": "dna"}, "data": whole, "training": {"steps": 1}})
    return prepare(recipe, data, data / "cache")


def texts(store: TokenStore) -> list[str]:
    """Return the sequences of a store, with their lower case."""
    plain = DNA.decode(store.tokens)
    cased = "".join(c.lower() if soft else c for c, soft in zip(plain, store.soft, strict=True))
    return [cased[a:b] for a, b in zip(store.offsets[:-1], store.offsets[1:], strict=True)]


BED = "track name=x\nchr1\t0\t8\ttrain\n# a remark\nchr1\t12\t20\tvalid\nchr2\t4\t10\ttest\n"


@pytest.mark.parametrize("split", ["tail", "hash"])
def test_regions_go_where_their_fourth_column_says(genome: Path, split: str) -> None:
    parts = corpus(genome, BED, region_split=True, split=split)
    assert texts(parts.train) == ["ACGTacgt"]
    assert texts(parts.held_out) == ["GTTTGGCC"] and texts(parts.test) == ["CCCCaa"]
    ends = [(p.begins.tolist(), p.ends.tolist()) for p in (parts.train, parts.held_out, parts.test)]
    assert ends == [([True], [False]), ([False], [True]), ([False], [False])]


def test_without_a_split_of_its_own_every_region_has_a_tail(genome: Path) -> None:
    parts = corpus(genome, BED, held_out=0.25)
    assert texts(parts.train) == ["ACGTac", "GTTTGG", "CCCC"]
    assert texts(parts.held_out) == ["gt", "CC", "aa"]


def test_whole_chromosomes_without_regions_keep_their_case(genome: Path) -> None:
    parts = corpus(genome, BED, regions="")
    assert texts(parts.train) == list(CHROMOSOMES.values())
    assert not len(parts.test.soft)


@pytest.mark.parametrize(
    ("bed", "message"),
    [
        ("chr1\t5\n", r"r.bed line 1: expected a sequence, a begin and a later end, found 'chr1\\t5'"),
        ("chr1\t8\t8\ttrain\n", r"r.bed line 1: expected a sequence, a begin and a later end"),
        ("chr1\t0\t21\ttrain\n", r"r.bed line 1: the region ends at 21, but 'chr1' has 20 bases"),
        ("chr1\t0\t4\ttrain\nchrX\t0\t4\ttrain\n", r"line 2: no file of domain 'g' holds a sequence 'chrX'"),
        ("chr1\t0\t4\tdev\n", r"line 1: the fourth column must be train, valid or test, not 'dev'"),
    ],
)
def test_wrong_regions_are_named(genome: Path, bed: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpus(genome, bed, region_split=True)


def test_regions_of_a_sequence_with_other_symbols_are_refused(genome: Path) -> None:
    (genome / "g.fa").write_text(">chr1\nACGT-ACGT\n")
    with pytest.raises(InputError, match="sequence 'chr1' holds symbols that are no bases"):
        corpus(genome, "chr1\t0\t4\n")


def test_a_missing_file_of_regions_is_named(genome: Path) -> None:
    with pytest.raises(InputError, match=r"no.bed \(domain 'g'\) does not exist; name the data folder"):
        corpus(genome, BED, regions="no.bed")
