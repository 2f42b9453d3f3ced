"""Corpora: deduplicated, split without leaks, prepared once, streamed to disk."""

import errno
import lzma
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError, OutputError
from bio_xlstm.tasks.pretrain import corpus as corpus_module
from bio_xlstm.tasks.pretrain import words as words_module
from bio_xlstm.tasks.pretrain.chemistry import molecule_keys, scaffold_key
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare, unreadable_records
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain
from bio_xlstm.tasks.pretrain.gathering import Gathered, first_copies, gather
from bio_xlstm.tasks.pretrain.parts import HELD_OUT, TEST, TRAIN
from bio_xlstm.tasks.pretrain.reading import Found
from bio_xlstm.tasks.pretrain.settings import parse_recipe
from bio_xlstm.tasks.pretrain.split import SPLITTERS
from bio_xlstm.tasks.pretrain.token_store import Cuts, Piece, TokenStore
from bio_xlstm.tasks.pretrain.words import Words
from bio_xlstm.tokenizers import TOKENIZERS

SMILES, PROTEIN = TOKENIZERS["smiles"](), TOKENIZERS["protein"]()


def settings(*shares: float, kind: str = "protein", **changes) -> DataSettings:
    """Make settings of domains that hold out the given shares."""
    domains = tuple(Domain(name=str(n), files=("x",), held_out=share) for n, share in enumerate(shares))
    return DataSettings(kind=kind, domains=domains, **changes)


def proteins(count: int, seed: int = 0) -> list[Piece]:
    """Make unrelated random proteins."""
    rng = np.random.default_rng(seed)
    return [Piece(rng.integers(4, 24, rng.integers(40, 80)).astype(np.uint8), 0) for _ in range(count)]


def molecules(texts: Sequence[str], domain: int = 0, number: int = -1) -> list[Found]:
    """Make molecules of one domain, and perhaps of one set."""
    return [Found(Piece(SMILES.encode(text), domain, set=number), text) for text in texts]


@pytest.fixture
def gathered(tmp_path: Path) -> Callable[..., Gathered]:
    """Return a function that gathers sequences in a new folder each time."""
    numbers = iter(range(100))

    def make(found: Sequence[Piece | Found], *, scaffolds: bool = False) -> Gathered:
        items = [Found(item, "") if isinstance(item, Piece) else item for item in found]
        folder = tmp_path / str(next(numbers))
        return gather(items, folder, items[0].piece.ids.dtype, seed=0, scaffolds=scaffolds)

    return make


def split(gathered: Gathered, data: DataSettings) -> dict[int, list[bytes]]:
    """Return the ids of the sequences of every part."""
    parts = SPLITTERS[data.split](gathered, first_copies(gathered), data)
    return {part: ids_of(gathered.store, cuts) for part, cuts in parts.items()}


def ids_of(store: TokenStore, cuts: Cuts) -> list[bytes]:
    """Return the ids of parts of sequences."""
    begins = store.offsets[cuts.piece]
    return [
        store.tokens[b + first : b + last].tobytes()
        for b, first, last in zip(begins, cuts.begin, cuts.end, strict=True)
    ]


def test_hash_split_depends_on_the_sequence_alone(gathered: Callable[..., Gathered]) -> None:
    pieces = proteins(300)
    parts = split(gathered(pieces), settings(0.2))
    assert 30 < len(parts[HELD_OUT]) < 90 and len(parts[TRAIN]) + len(parts[HELD_OUT]) == 300
    again = split(gathered(pieces[::-1]), settings(0.2))
    assert set(parts[HELD_OUT]) == set(again[HELD_OUT])


def test_the_test_part_is_taken_from_what_is_held_out_first(gathered: Callable[..., Gathered]) -> None:
    pieces = proteins(400)
    pieces = [p._replace(domain=n % 3) for n, p in enumerate(pieces)]
    found = gathered(pieces)
    data = settings(0.2, 0.0, 1.0, test=0.25)
    parts = SPLITTERS["hash"](found, first_copies(found), data)
    domains = {part: found.store.domains[cuts.piece] for part, cuts in parts.items()}
    counts = {part: np.bincount(numbers, minlength=3).tolist() for part, numbers in domains.items()}
    assert counts[TEST][1] == counts[HELD_OUT][1] == counts[TRAIN][2] == 0
    assert 15 < counts[TEST][0] < 55 and 15 < counts[TEST][2] < 55 and counts[HELD_OUT][2] > 70
    one = Domain(name="a", files=("x",), held_out=0.2, test=0.0)
    assert data.test_share(one) == 0.0 and data.test_share(data.domains[0]) == 0.25


RINGS = [
    "c1ccccc1",
    "C1CCCCC1",
    "c1ccncc1",
    "c1ccsc1",
    "C1CCOC1",
    "c1ccc2ccccc2c1",
    "C1CCNCC1",
    "c1cc[nH]c1",
]
TAILED = [f"{tail}{ring}" for ring in RINGS for tail in ("C", "CC", "CCO", "N#C")]


@pytest.mark.parametrize("test", [0.0, 0.3])
def test_scaffolds_never_stand_in_two_parts(gathered: Callable[..., Gathered], test: float) -> None:
    found = gathered(molecules([*TAILED, "CCO", "C("]), scaffolds=True)
    data = settings(0.4, kind="smiles", split="scaffold", test=test)
    parts = SPLITTERS["scaffold"](found, first_copies(found), data)
    texts = {part: {([*TAILED, "CCO"])[n] for n in cuts.piece} for part, cuts in parts.items()}
    scaffolds = {part: set(map(scaffold_key, found)) for part, found in texts.items()}
    assert texts[TRAIN] and texts[HELD_OUT] and bool(texts[TEST]) == bool(test)
    assert not scaffolds[TRAIN] & scaffolds[HELD_OUT] and not scaffolds[TEST] & scaffolds[HELD_OUT]
    assert not scaffolds[TRAIN] & scaffolds[TEST]
    # what RDKit cannot read is in no part
    assert sum(map(len, texts.values())) == len(TAILED) + 1


def test_a_scaffold_held_out_in_one_domain_is_trained_on_in_none(gathered: Callable[..., Gathered]) -> None:
    found = [*molecules(TAILED[::2], 0), *molecules(TAILED[1::2], 1)]
    held = gathered(found, scaffolds=True)
    parts = split(held, settings(0.0, 0.5, kind="smiles", split="scaffold"))
    texts = {
        part: [SMILES.decode(np.frombuffer(ids, SMILES.dtype)) for ids in p] for part, p in parts.items()
    }
    scaffolds = {part: set(map(scaffold_key, p)) for part, p in texts.items()}
    assert scaffolds[HELD_OUT] and not scaffolds[TRAIN] & scaffolds[HELD_OUT]


def test_scaffold_keys_ignore_side_chains_stereo_and_spelling() -> None:
    assert scaffold_key("OC(=O)c1ccccc1") == scaffold_key("C1=CC=CC=C1C")
    assert scaffold_key("CCO") == scaffold_key("OCC") != scaffold_key("CCN")
    assert scaffold_key("C(") == ""
    spelled = [molecule_keys(text, 0) for text in ("N[C@@H](C)C(=O)O", "CC(N)C(O)=O", "CC(N)C(N)=O")]
    assert spelled[0] == spelled[1] and spelled[0].molecule != spelled[2].molecule


def test_relatives_of_held_out_proteins_are_not_trained_on(gathered: Callable[..., Gathered]) -> None:
    pieces, data = proteins(60), settings(0.2, split="families")
    parts = split(gathered(pieces), data)
    assert len(parts[HELD_OUT]) > 3 and len(parts[TRAIN]) + len(parts[HELD_OUT]) == 60
    held = [piece for piece in pieces if piece.ids.tobytes() in parts[HELD_OUT]]
    other = proteins(1, seed=9)[0].ids
    relatives = [p._replace(ids=np.concatenate([p.ids[:25], other])) for p in held]
    again = split(gathered([*pieces, *relatives]), data)
    assert set(parts[HELD_OUT]) <= set(again[HELD_OUT])
    assert not {p.ids.tobytes() for p in relatives} & set(again[TRAIN])


def test_relatives_of_the_test_are_neither_trained_on_nor_held_out(gathered: Callable[..., Gathered]) -> None:
    pieces, data = proteins(80), settings(0.3, split="families", test=0.2)
    parts = split(gathered(pieces), data)
    other = proteins(1, seed=9)[0].ids
    relatives = [
        p._replace(ids=np.concatenate([p.ids[:25], other])) for p in pieces if p.ids.tobytes() in parts[TEST]
    ]
    again = split(gathered([*pieces, *relatives]), data)
    assert parts[TEST] and relatives
    names = {p.ids.tobytes() for p in relatives}
    assert not names & {*again[TRAIN], *again[HELD_OUT]}


def test_near_duplicates_are_left_out_but_not_of_families(gathered: Callable[..., Gathered]) -> None:
    pieces = proteins(5)
    copy = pieces[2]._replace(ids=np.concatenate([pieces[2].ids, [5, 6]]).astype(np.uint8))
    data = settings(0.0, split="families")
    assert len(split(gathered([*pieces, copy]), data)[TRAIN]) == 5
    assert len(split(gathered([*pieces, copy._replace(set=0)]), data)[TRAIN]) == 6


def test_families_are_held_out_whole_and_their_relatives_everywhere(
    gathered: Callable[..., Gathered],
) -> None:
    rng = np.random.default_rng(1)
    seeds = proteins(30)
    family = [
        p._replace(ids=np.concatenate([p.ids, rng.integers(4, 24, 9)]).astype(np.uint8), set=n)
        for n, p in enumerate(seeds)
        for _ in range(4)
    ]
    found = gathered([*(p._replace(domain=1) for p in seeds), *family])
    data = settings(0.3, 0.0, split="families")
    parts = SPLITTERS["families"](found, first_copies(found), data)
    sets = {part: found.store.sets[cuts.piece] for part, cuts in parts.items()}
    held = set(sets[HELD_OUT].tolist())
    assert 2 < len(held) < 25 and (np.bincount(sets[HELD_OUT])[list(held)] == 4).all()
    assert not held & set(sets[TRAIN].tolist())
    alone = {int(n) for n in parts[TRAIN].piece if n < 30}
    assert alone == set(range(30)) - held


def test_molecules_of_held_out_sets_are_trained_on_nowhere(gathered: Callable[..., Gathered]) -> None:
    acids = [f"{'C' * n}C(=O)O" for n in range(1, 31)]
    spelled = [f"OC(=O)C{'C' * n}" for n in range(1, 31)]
    found = [f for n, text in enumerate(acids) for f in molecules([text, "CCS"], 0, n)]
    everything = gathered([*found, *molecules(spelled, 1)], scaffolds=True)
    data = settings(0.4, 0.0, kind="smiles", split="scaffold")
    parts = SPLITTERS["scaffold"](everything, first_copies(everything), data)
    held = everything.molecules[parts[HELD_OUT].piece]
    assert len(held) > 10 and not np.isin(everything.molecules[parts[TRAIN].piece], held).any()
    assert (everything.store.sets[parts[TRAIN].piece] < 0).any()


def test_words_are_the_same_in_however_many_turns_they_are_counted(
    gathered: Callable[..., Gathered], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = proteins(40)
    pieces += [
        p._replace(ids=np.concatenate([p.ids[10:40], q.ids]))
        for p, q in zip(pieces, pieces[5:], strict=False)
    ]
    store = gathered(pieces).store
    chosen = np.arange(len(pieces)) % 3 > 0
    whole = Words(store)
    monkeypatch.setattr(words_module, "_BLOCK", 200)
    several = Words(store, at_a_time=500)
    assert whole.shares == 1 and several.shares > 5
    assert (whole.seen_before(chosen) == several.seen_before(chosen)).all() and whole.seen_before(
        chosen
    ).any()
    assert (whole.shared_with(chosen) == several.shared_with(chosen)).all()
    words = [{p.ids[n : n + 8].tobytes() for n in range(len(p.ids) - 7)} for p in pieces]
    known = set().union(*(w for w, c in zip(words, chosen, strict=True) if c))
    assert whole.shared_with(chosen).tolist() == [len(w & known) for w in words]


def test_tails_are_contiguous_and_marked(gathered: Callable[..., Gathered]) -> None:
    genome = [Piece(np.arange(100, dtype=np.uint8), 0), Piece(np.arange(10, dtype=np.uint8), 1)]
    found = gathered(genome)
    parts = SPLITTERS["tail"](found, np.ones(2, bool), settings(0.1, 1.0, kind="dna", split="tail"))
    lengths = {part: (cuts.end - cuts.begin).tolist() for part, cuts in parts.items()}
    assert lengths == {TRAIN: [90], HELD_OUT: [10, 10], TEST: []}
    parts = SPLITTERS["tail"](found, np.ones(2, bool), settings(0.1, 1.0, kind="dna", split="tail", test=0.2))
    spans = {part: list(zip(cuts.begin, cuts.end, strict=True)) for part, cuts in parts.items()}
    assert spans == {TRAIN: [(0, 70)], HELD_OUT: [(70, 80), (0, 8)], TEST: [(80, 100), (8, 10)]}


def recipe(domains: list[dict], **data):
    """Describe a corpus of SMILES files."""
    return parse_recipe(
        {
            "model": {"family": "chem"},
            "data": {"kind": "smiles", "domains": domains, **data},
            "training": {"steps": 1},
        }
    )


def everything(files: list[str], held_out: float = 0.3, **data):
    """Describe a corpus of one domain."""
    return recipe([{"name": "all", "files": files, "held_out": held_out}], **data)


def test_a_corpus_is_prepared_once_and_holds_no_repeats(tmp_path: Path) -> None:
    lines = [f"{'C' * n}O" for n in range(1, 40)]
    (tmp_path / "a.smi").write_text("\n".join([*lines, *lines[:5], "C$#!"]) + "\n")
    with lzma.open(tmp_path / "b.smi.xz", "wt") as file:
        file.write("\n".join(lines[10:20]) + "\nCCN\n")
    corpus = prepare(everything(["a.smi", "b.smi.xz"]), tmp_path, tmp_path / "cache")
    report = corpus.report["all"]
    assert report["distinct"] == 40 and report["repeated"] == 15
    assert report["train"] + report["held_out"] == 40 == len(corpus.train) + len(corpus.held_out)
    assert len(corpus.test) == report["test"] == 0
    stamp = [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").rglob("*.npy"))]
    prepare(everything(["*.smi*"]), tmp_path, tmp_path / "cache")
    prepare(everything(["a.smi", "b.smi.xz"]), tmp_path, tmp_path / "cache")
    first = [path for path in sorted((tmp_path / "cache").rglob("*.npy")) if path.stat().st_mtime_ns in stamp]
    assert len(first) == len(stamp)


def test_limits_keep_that_many_held_out_sequences(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("\n".join(f"{'C' * n}O" for n in range(1, 40)) + "\n")
    corpus = prepare(everything(["a.smi"], held_out_limit=3, test=0.3), tmp_path, tmp_path / "cache")
    assert len(corpus.held_out) == len(corpus.test) == 3


def shown(store: TokenStore, tokenizer) -> dict[int, set[str]]:
    """Return the texts of every set."""
    found: dict[int, set[str]] = {}
    for n, number in enumerate(store.sets.tolist()):
        ids = store.tokens[store.offsets[n] : store.offsets[n + 1]]
        found.setdefault(number, set()).add(tokenizer.decode(ids))
    return found


def in_sets(tmp_path: Path, **domain) -> Corpus:
    """Prepare a corpus of one domain with sets."""
    return prepare(recipe([{"name": "a", **domain}]), tmp_path, tmp_path / "cache")


def test_sets_are_lines_files_or_named_by_a_column(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("CCO.CCN.Cl.CC\nCCCO.CCO\n")
    corpus = in_sets(tmp_path, files=["lines.txt"], sets="line")
    assert shown(corpus.train, SMILES) == {0: {"CCO", "CCN.Cl", "CC"}, 1: {"CCCO", "CCO"}}
    assert corpus.report["a"]["train_sets"] == 2
    (tmp_path / "x.smi").write_text("CCO assay1\nCCN assay2\nCCCO assay1\n")
    assert shown(in_sets(tmp_path, files=["x.smi"], sets="column", set_column="id").train, SMILES) == {
        0: {"CCO", "CCCO"},
        1: {"CCN"},
    }
    (tmp_path / "t.csv").write_text("smiles,target\nCCO,a\nCCN,b\nCCC,a\nCC,\n")
    by_target = in_sets(tmp_path, files=["t.csv"], sets="column", set_column="target")
    assert shown(by_target.train, SMILES) == {0: {"CCO", "CCC"}, 1: {"CCN"}, -1: {"CC"}}
    assert shown(in_sets(tmp_path, files=["x.smi", "t.csv"], sets="file").train, SMILES) == {
        0: {"CCO", "CCN", "CCCO"},
        1: {"CCO", "CCN", "CCC", "CC"},
    }
    with pytest.raises(
        InputError, match=r"t.csv: a record has no 'assay' to name its set; it has id, smiles"
    ):
        in_sets(tmp_path, files=["t.csv"], sets="column", set_column="assay")


FAMILY = ">q\nMKTAYIAKQRMKTAYIAKQR\n>a\nMKTAYIAKQRMKTAYIAK-R\n>b\nMKTAYIvvAKQRMKTAYIAKQR\n>c\nWWWWWWWWWWWWWWWWWWWW\n"


def test_families_keep_insertions_and_are_weighed_by_their_redundancy(tmp_path: Path) -> None:
    (tmp_path / "f.a3m").write_text(FAMILY)
    (tmp_path / "g.fasta").write_text(">x fam1 first\nMKT\n>y fam2\nMKTA\n>z fam1\nMKTAY\n")
    domains = [
        {"name": "families", "files": ["f.a3m"], "sets": "file"},
        {"name": "named", "files": ["g.fasta"], "sets": "column", "set_column": "2"},
    ]
    data = parse_recipe(
        {
            "model": {"family": "protein"},
            "data": {"kind": "protein", "domains": domains},
            "training": {"steps": 1},
        }
    )
    store = prepare(data, tmp_path, tmp_path / "cache").train
    assert shown(store, PROTEIN)[0] == {
        "MKTAYIAKQRMKTAYIAKQR",
        "MKTAYIAKQRMKTAYIAKR",
        "MKTAYIVVAKQRMKTAYIAKQR",
        "W" * 20,
    }
    assert store.shares.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1, 1, 1])
    assert store.sets.tolist() == [0, 0, 0, 0, 1, 2, 1]


def test_missing_files_and_unknown_kinds_are_named(tmp_path: Path) -> None:
    message = r"gone.smi \(domain 'all'\) does not exist; name the data folder with --data"
    with pytest.raises(InputError, match=message):
        prepare(everything(["gone.smi"]), tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"gone\*.smi \(domain 'all'\) does not exist"):
        prepare(everything(["gone*.smi"]), tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"kind must be one of .*, not 'rna'"):
        prepare(everything(["a.smi"], kind="rna"), tmp_path, tmp_path)


def test_a_folder_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("inner", ".", "in*"):
        with pytest.raises(
            InputError, match=r"\(domain 'all'\) is a folder; name the files in it, as in '.*/\*'"
        ):
            prepare(everything([name]), tmp_path, tmp_path / "cache")


def test_what_was_drawn_before_the_limit_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("\n".join(f"{'C' * n}O" for n in range(1, 40)) + "\n")
    free, limited = (
        prepare(everything(["a.smi"], held_out_limit=limit, test=0.3), tmp_path, tmp_path / "cache").report[
            "all"
        ]
        for limit in (0, 3)
    )
    for part in ("held_out", "test"):
        assert limited[f"{part}_drawn"] == free[part] > limited[part] == 3 and f"{part}_drawn" not in free
        assert limited[f"{part}_drawn_tokens"] == free[f"{part}_tokens"]


def test_a_domain_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("MKTAYIAK\nMKV\n")
    message = "domain 'all': none of 2 records can be read as smiles: 'M' at position 1 is not a SMILES token"
    with pytest.raises(InputError, match=message):
        prepare(everything(["a.smi"]), tmp_path, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_records_that_cannot_be_read_are_counted_by_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,smiles\nx,CCO\ny,MKV\nz,CCN,1\nv,\n")
    report = prepare(everything(["a.csv"], held_out=0), tmp_path, tmp_path / "cache").report["all"]
    assert report["unreadable"] == {"unknown_token": 1, "error": 1, "empty": 1}
    told = unreadable_records(report)
    assert told == "left out 3 of 4 records (1 unknown_token, 1 error, 1 empty)"


def test_domains_whose_names_begin_alike_are_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")
    domains = [{"name": name, "files": ["a.smi"]} for name in ("human", "human chr4")]
    report = prepare(recipe(domains), tmp_path, tmp_path / "cache").report
    assert [entry["read"] for entry in report.values()] == [2, 2]
    assert not [key for key in report["human"] if "chr4" in key]


def test_a_preparation_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus_module, "copy_store", full)
    with pytest.raises(
        OutputError, match=r"no space is left for the prepared data under .*cache \(--cache\)"
    ):
        prepare(everything(["a.smi"], held_out=0), tmp_path, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the folder .*file cannot be made: File exists"):
        prepare(everything(["a.smi"], held_out=0), tmp_path, tmp_path / "file")


def test_corpora_of_one_cache_are_prepared_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.smi").write_text(f"CCO\n{'C' * ord(name)}\n")
    both, plain, written = threading.Barrier(2, timeout=30), corpus_module._fill, []

    def meet(settings: DataSettings, data: Path, folder: Path) -> None:
        written.append(folder)
        # breaks where one waits until the other is done
        both.wait()
        plain(settings, data, folder)

    monkeypatch.setattr(corpus_module, "_fill", meet)
    with ThreadPoolExecutor(2) as pool:
        work = [
            pool.submit(prepare, everything([f"{name}.smi"], held_out=0), tmp_path, tmp_path / "cache")
            for name in "ab"
        ]
        assert all(len(one.result().train) for one in work)
    assert len(set(written)) == 2
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == ["", ""]


def test_one_corpus_is_prepared_by_one_while_the_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")
    plain, written = corpus_module._fill, []

    def slow(settings: DataSettings, data: Path, folder: Path) -> None:
        written.append(folder)
        time.sleep(0.2)
        plain(settings, data, folder)

    monkeypatch.setattr(corpus_module, "_fill", slow)
    with ThreadPoolExecutor(3) as pool:
        work = [
            pool.submit(prepare, everything(["a.smi"], held_out=0), tmp_path, tmp_path / "cache")
            for _ in range(3)
        ]
        assert {len(one.result().train) for one in work} == {2}
    assert len(written) == 1


def test_a_prepared_corpus_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")
    prepare(everything(["a.smi"], held_out=0), tmp_path, tmp_path / "cache")

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(corpus_module, "one_at_a_time", refused)
    monkeypatch.setattr(corpus_module, "make_folder", refused)
    assert len(prepare(everything(["a.smi"], held_out=0), tmp_path, tmp_path / "cache").train) == 2
