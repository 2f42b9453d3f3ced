"""The comparisons in benchmarks/ run, keep what they measure and compare like with like."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import bio_xlstm as bx
from bio_xlstm.kernels.slstm.reference import slstm_reference


def run_script(root: Path, folder: Path, *arguments: str) -> dict:
    """Run a script on tiny sizes and return what it kept."""
    file = folder / "numbers.json"
    script, *options = arguments
    command = [sys.executable, str(root / "benchmarks" / script), *options]
    # more threads than idle cores would wait for each other
    command += ["--tiny", "--device", "cpu", "--threads", "1", "--json", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("|---|") for line in done.stdout.splitlines()) == 1, "one table"
    kept = json.loads(file.read_text())
    assert kept["machine"]["torch"] == torch.__version__
    return kept


@pytest.fixture
def benchmark_modules(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the test import the modules of the folder, as its scripts do, and forget them afterwards."""
    folder = root / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    yield
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(("script", "count"), (("kernels.py", 3 * 3), ("blocks.py", 3 + 2)))
def test_every_cell_holds_ours_and_its_bound(root: Path, tmp_path: Path, script: str, count: int) -> None:
    rows = run_script(root, tmp_path, script)["rows"]
    cells: dict[tuple[str, str, str], dict[str, list[dict]]] = {}
    for row in rows:
        cell = cells.setdefault((row["case"], row["pass"], row["dtype"]), {})
        cell.setdefault(row["role"], []).append(row)
    assert len(cells) == count
    for name, cell in cells.items():
        assert len(cell["ours"]) == len(cell["bound"]) == 1, name
        # products in float32 are the bound of bfloat16 as well, where there are products
        strict = name[2] == "bfloat16" and not name[0].startswith("causal_conv")
        assert len(cell.get("float32 bound", [])) == strict, name
        for row in [*cell["ours"], *cell["bound"], *cell.get("backend", [])]:
            assert 0 < row["p10_s"] <= row["median_s"] <= row["p90_s"], row
            assert row["of_bound"]["median"] > 0 and row["against_ours"]["median"] > 0
        # what is not there says so
        for row in cell.get("peer", []):
            assert "median_s" in row or row["note"], row
            assert not row["contender"].startswith("torch") or "median_s" in row, row


def test_decoding_is_compared_with_bounds_and_peers(root: Path, tmp_path: Path) -> None:
    rows = run_script(root, tmp_path, "decode.py")["rows"]
    assert len({(row["case"], row["pass"], row["dtype"]) for row in rows}) == 2 * 2 * 2
    roles = {row["contender"]: row["role"] for row in rows}
    assert roles.pop("xlstm block stack, step") == roles.pop("transformers xLSTM, cached step") == "peer"
    assert roles == {
        "Decoder": "ours",
        "lower bound": "bound",
        "float32 products": "float32 bound",
        "plain step": "backend",
        "model.forward": "backend",
    }
    for row in rows:
        assert row["median_s"] > 0 if row["role"] != "peer" else "median_s" in row or row["note"], row
        assert bool(row.get("of_float32_bound")) == (row["dtype"] == "bfloat16" and "median_s" in row)


def test_memory_is_compared_with_the_plain_form(root: Path, tmp_path: Path) -> None:
    (row,) = run_script(root, tmp_path, "blocks.py", "--memory")["rows"]
    assert row["held"] > row["held_block"] > 0
    assert row["peak"] >= 0


def test_the_plain_form_is_the_model(benchmark_modules: None) -> None:
    from memory import training_loss
    from plain import plain_loss

    model = bx.build("dna", dim=32, blocks=2, heads=2).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tokens = torch.randint(8, (3, 150))
    plain, wanted = plain_loss(model, tokens), training_loss(model, tokens)
    assert abs(plain - wanted) <= 1e-6 * wanted
    found, expected = (torch.autograd.grad(loss, list(model.parameters())) for loss in (plain, wanted))
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


def test_the_loop_over_tokens_is_the_slstm(benchmark_modules: None) -> None:
    from peers import read_tokens

    x, r, b = torch.randn(3, 17, 2, 4, 8), torch.randn(2, 8, 4, 8) * 0.3, torch.randn(2, 4, 8)
    wanted, _ = slstm_reference(x, r, b, state=None, cu_seqlens=None, reverse=False)
    assert (read_tokens(x, r.flatten(-2), b) - wanted).abs().max() < 1e-5


def test_products_of_the_bound_are_counted(benchmark_modules: None) -> None:
    from bounds import block_work, mlstm_work
    from setting import Shape

    # one chunk of 32 tokens: q k^T, s v and k^T v; backward five more, none with a memory
    shape = Shape(2, 32, 3, 8)
    inside, update = 2 * 6 * 32 * 32 * 8, 2 * 6 * 32 * 8 * 8
    for backward, wanted in ((False, 2 * inside + update), (True, 7 * inside + update)):
        whole = next(way for way in mlstm_work(shape, backward) if way.products[0].rows == 32)
        assert sum(product.flops for product in whole.products) == wanted
    # two chunks of 16: the second one reads the memory, and sends its gradient back
    halves = next(way for way in mlstm_work(shape, True) if way.products[0].rows == 16)
    assert sum(p.flops for p in halves.products) == 7 * inside // 2 + update + 5 * update // 2
    projections = block_work(shape, 12, True)[0].projections
    assert sum(p.flops for p in projections) == 3 * 2 * 64 * (12 * 48 + 24 * 12)


@pytest.mark.parametrize(
    ("script", "options", "message"),
    (
        ("kernels.py", ("--seconds", "-1"), "argument --seconds: invalid"),
        ("blocks.py", ("--threads", "0"), "argument --threads: invalid"),
        ("decode.py", ("--json", "{file}/below/a/file.json"), "cannot write"),
    ),
)
def test_bad_options_are_refused_in_a_line(
    root: Path, tmp_path: Path, script: str, options: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    command = [sys.executable, str(root / "benchmarks" / script), "--tiny", "--device", "cpu"]
    command += [option.format(file=file) for option in options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and message in done.stderr and "Traceback" not in done.stderr


def test_times_are_those_of_one_step(benchmark_modules: None) -> None:
    from timing import Contender, race

    # a clock that believes what a run says it took
    contenders = [Contender("one", lambda: 3.0, "ours"), Contender("ten", lambda: 40.0, "backend", steps=10)]
    one, ten = race(contenders, 1.0, lambda run, calls: run())  # type: ignore[arg-type, return-value]
    assert set(one.samples) == {3.0} and set(ten.samples) == {4.0}


def test_numbers_are_kept_as_they_come(benchmark_modules: None, tmp_path: Path) -> None:
    from report import Report
    from timing import Timing

    file = tmp_path / "made" / "for" / "it.json"
    report = Report("Title", {"cpu": "some"}, file)
    report.open()
    assert json.loads(file.read_text())["rows"] == []
    cell = {"group": "", "case": "a", "pass": "forward", "dtype": "bfloat16"}
    timings = [
        Timing("ours", "ours", (2.0,)),
        Timing("bound", "bound", (8.0,)),
        Timing("strict", "float32 bound", (1.0,)),
    ]
    report.add(cell, 5, timings)
    ours = json.loads(file.read_text())["rows"][0]
    assert ours["of_bound"]["median"] == 4 and ours["of_float32_bound"]["median"] == 0.5
    assert list(file.parent.iterdir()) == [file]


def test_peers_of_decoding_take_a_step(benchmark_modules: None) -> None:
    from peer_steps import step_peers
    from setting import Setting, Shape

    setting = Setting(Shape(3, 1, 2, 64), 64, torch.float32, "cpu", False)
    for peer in step_peers(2, 11):
        contender = peer.contender(setting)
        if contender.run is None:
            assert contender.note == "not installed"
        else:
            assert "M parameters" in contender.note
            one, two = contender.run(), contender.run()
            assert one.shape == (3, 1, 11) and not torch.equal(one, two), "the state goes on"


def test_the_bound_does_all_of_its_products(benchmark_modules: None) -> None:
    from bounds import block_work, bound
    from setting import Shape
    from timing import make_clock

    (way, *_) = block_work(Shape(2, 40, 3, 8), 12, True, blocks=3, vocabulary=7)
    run = bound([way], torch.float32, "cpu", make_clock("cpu")).run
    with FlopCounterMode(display=False) as counter:
        run()
    assert counter.get_total_flops() == sum(p.flops for p in way.products + way.projections)


def test_rounds_are_compared_with_each_other(benchmark_modules: None) -> None:
    from timing import Contender, Timing, make_clock, race, ratio

    def fail() -> None:
        raise RuntimeError("no such kernel\nmore")

    timings = race(
        [
            Contender("quick", lambda: sum(range(100)), "ours"),
            Contender("slow", lambda: sum(range(100_000)), "bound"),
            Contender("broken", fail),
            Contender("missing", note="not installed"),
            Contender("computed", seconds=2.0),
        ],
        0.05,
        make_clock("cpu"),
    )
    quick, slow, broken, missing, computed = timings
    assert len(quick.samples) == len(slow.samples) >= 3
    assert ratio(slow, quick).median > 10
    assert broken.samples == () and broken.note == "failed: RuntimeError no such kernel"
    assert missing.samples == () and missing.note == "not installed"
    assert ratio(computed, quick).median == pytest.approx(
        2.0 / sorted(quick.samples)[len(quick.samples) // 2], rel=0.5
    )
    # inside a round, so a machine that slows down does not matter
    one, other = Timing("a", "ours", (1.0, 2.0, 4.0)), Timing("b", "bound", (2.0, 4.0, 8.0))
    assert ratio(other, one) == (2.0, 2.0, 2.0)


def test_the_environment_is_compared(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "environment.py")]
    done = subprocess.run(
        [*command, "--tokens", "64", "--rounds", "1", "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    first, *single, last = rows[1:]
    assert (first, last) == ("nothing set", "all")
    assert single[:2] == ["`OMP_WAIT_POLICY=passive`", "`THP_MEM_ALLOC_ENABLE=1`"]
    assert single[2].startswith("`MALLOC_MMAP_THRESHOLD_=")
