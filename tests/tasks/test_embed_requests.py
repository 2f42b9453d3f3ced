"""Requests: a wrong option is refused at the door in its own words; the small choices that follow from options."""

from collections.abc import Callable
from typing import Any

import pytest

from bio_xlstm.embedding import RC_MODES
from bio_xlstm.errors import ConfigError, ModelError, OutputError
from bio_xlstm.pooling import POOLS as POOLERS
from bio_xlstm.tasks.choices import OUTPUT_FORMATS, POOLS, RC, parse_layers
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype
from bio_xlstm.tasks.embed.request import EmbedRequest
from bio_xlstm.tasks.embed.run import embed_file
from bio_xlstm.tasks.files.opening import auto_batch_tokens
from bio_xlstm.tasks.files.prepare import choose_workers
from bio_xlstm.tasks.progress import Progress, duration, size
from bio_xlstm.tasks.writers import FORMATS

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pools": ("none", "mean")}, ConfigError, "--pool none gives one vector per token and stands alone"),
        ({"pools": ("mean", "mean")}, ConfigError, "--pool names the same pool twice"),
        ({"batch_tokens": 0}, ConfigError, "--batch-tokens must be at least 16, not 0"),
        ({"workers": -4}, ConfigError, "--workers must be at least 0, not -4"),
        ({"shard": "0/3"}, ConfigError, r"--shard must be two whole numbers \(i, n\), not '0/3'"),
        ({"limit": 0}, ConfigError, "--limit must be at least 1, not 0"),
        ({"pools": ()}, ConfigError, "--pool is missing: one or more of mean, last"),
        ({"pools": ["median"]}, ConfigError, "--pool must be one of mean, .*, not 'median'"),
        ({"rc": "zz"}, ConfigError, "--rc must be one of auto, none, average, concat, not 'zz'"),
        ({"store_dtype": "fp8"}, ConfigError, "--store-dtype must be one of fp32, fp16, bf16, not 'fp8'"),
        ({"dtype": "zz"}, ConfigError, "--dtype must be one of auto, fp32, bf16, fp16, not 'zz'"),
        ({"backend": "zz"}, ConfigError, "--backend must be one of auto, .*, not 'zz'"),
        ({"format": "zz"}, ConfigError, "--format must be one of parquet, .*, not 'zz'"),
        ({"on_error": "zz"}, ConfigError, "--on-error must be one of record, skip, fail, not 'zz'"),
        ({"output": "-", "on_error": "skip"}, ConfigError, "--on-error skip needs a file: standard output"),
        ({"output": ""}, OutputError, "-o '' names no file"),
        ({"output": "."}, OutputError, "-o '.' names no file"),
        ({"output": ".."}, OutputError, "-o '..' names no file"),
        ({"output": "/"}, OutputError, "-o '/' names no file"),
        ({"layers": "²"}, ConfigError, "'²' is no number"),
        ({"device": "cpu:3"}, ConfigError, "--device must be auto, cpu, .*, not 'cpu:3'"),
        ({"device": "cuda:²"}, ConfigError, "--device must be auto, cpu, .*, not 'cuda:²'"),
        ({"batch_tokens": 3}, ConfigError, "--batch-tokens must be at least 16, not 3"),
        ({"shard": (0, 4)}, ConfigError, "--shard 0/4: shards are counted 1/N, 2/N, ... N/N"),
        ({"layers": "9"}, ConfigError, "there is no layer 9"),
        (
            {"layers": "x"},
            ConfigError,
            "--layers takes numbers separated by commas, or all; 'x' is no number",
        ),
        ({"layers": "0,0"}, ConfigError, "--layers 0,0 names the same layer twice"),
        ({"rc": "average"}, ConfigError, "--rc average is for DNA"),
        ({"device": "tpu"}, ConfigError, "--device must be auto, cpu, cuda, cuda:NUMBER or mps, not 'tpu'"),
        ({"device": "cuda:99"}, ConfigError, "--device cuda:99: this machine has [0-9]+ CUDA devices"),
        ({"output": "nowhere/out.npz"}, OutputError, "there is no folder nowhere"),
        ({"model": "no-such-model"}, ModelError, "there is no model 'no-such-model'"),
        ({"output": "x.xyz"}, ConfigError, "the suffix of x.xyz names no format"),
    ],
)
def test_wrong_requests(
    request_for: Make, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        embed_file(request_for("protein", "a.fa", ">a\nMKT\n", **({"kind": "protein"} | options)))


def test_the_input_is_never_overwritten(request_for: Make) -> None:
    with pytest.raises(OutputError, match=r"a.csv is the input; give the output another name"):
        embed_file(
            request_for("protein", "a.csv", "id,sequence\na,MKT\n", "a.csv", kind="protein", overwrite=True)
        )


def test_small_choices() -> None:
    import torch

    assert parse_layers("all", 3) == ("0", "1", "2") and parse_layers("-1, 0", 3) == ("-1", "0")
    assert (
        choose_device("cpu") == "cpu"
        and choose_dtype("auto") is torch.float32
        and choose_dtype("bf16") is torch.bfloat16
    )
    place = torch.device("cpu"), torch.float32
    assert choose_backend("auto", *place) == choose_backend(choose_backend("auto", *place), *place)
    with pytest.raises(ConfigError, match="--backend must be one of auto, .*, not 'none-such'"):
        choose_backend("none-such", *place)
    if not torch.backends.mps.is_available():
        with pytest.raises(ConfigError, match="--device mps: this machine has no Apple GPU"):
            choose_device("mps")
    assert (
        auto_batch_tokens(192, None, causal=True) == 2048
        and auto_batch_tokens(192, None, causal=False) == 16384
    )
    assert auto_batch_tokens(192, 80 << 30, causal=True) == 262_144
    assert choose_workers(3, chemistry=False, device="cpu", records=1) == 3
    assert choose_workers(None, chemistry=True, device="cpu", records=10**6) == 0
    assert choose_workers(None, chemistry=True, device="cuda", records=10**6) >= 0
    assert (duration(3), duration(200), duration(7200)) == ("3 s", "3 min", "2.0 h")
    assert (size(999), size(1500), size(2e9), size(3e13)) == ("999 B", "1.5 KB", "2.0 GB", "30.0 TB")


def test_a_backend_that_cannot_run_is_refused_with_the_reason(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    asked = request_for("protein", "a.fa", ">a\nMKT\n", device="cpu", backend="triton")
    with pytest.raises(ConfigError, match="^--backend triton cannot run here: triton needs a CUDA GPU$"):
        embed_file(asked)


def test_a_model_that_may_choose_chooses_for_every_primitive(request_for: Make) -> None:
    from bio_xlstm.tasks.embed.setup import open_job

    job = open_job(request_for("protein", "a.fa", ">a\nMKT\n", device="cpu"), print)
    assert {block.mixer.backend for block in job.model.blocks} == {"auto"}
    assert job.provenance.backend in ("numba", "torch")
    job = open_job(request_for("protein", "a.fa", ">a\nMKT\n", device="cpu", backend="torch"), print)
    assert {block.mixer.backend for block in job.model.blocks} == {job.provenance.backend} == {"torch"}


def test_what_runs_on_a_gpu_is_recorded_primitive_by_primitive(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bio_xlstm.kernels import choice, trust

    passed = {"causal_conv": True, "mlstm": True}
    monkeypatch.setattr(choice, "find_fault", lambda compiler: "")
    monkeypatch.setattr(trust, "judge", lambda primitive, device: trust.Verdict(passed[primitive], ""))
    place = torch.device("cuda", 0), torch.float32
    assert choose_backend("auto", *place) == "triton"
    passed["mlstm"] = False
    assert choose_backend("auto", *place) == "triton for causal_conv, torch for mlstm"
    passed["causal_conv"] = False
    assert choose_backend("auto", *place) == "torch"
    assert choose_backend("triton", *place) == "triton"


def test_progress_writes_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.progress.LINE_SECONDS", 0.0)
    with Progress("embed", 10) as progress:
        progress.advance(4, skipped=True)
        progress.advance(3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "embed: 4 of 10 records (40 %)"
    assert lines[1].startswith("embed: 7 of 10 records (70 %), about 0 s left")
    with Progress("embed", 10, quiet=True) as progress:
        progress.advance(4)
    assert capsys.readouterr().err == ""


def test_the_request_is_a_value() -> None:
    request = EmbedRequest(input="a", output="b")
    assert request == EmbedRequest(input="a", output="b") and hash(request)
    assert request.settings()["--pool"] == "mean"


def test_pools_may_be_a_list_or_a_word() -> None:
    assert EmbedRequest(input="a", output="b", pools=["none"]).per_token  # type: ignore[arg-type]
    assert EmbedRequest(input="a", output="b", pools="max").pools == ("max",)  # type: ignore[arg-type]


def test_the_words_are_those_that_the_code_knows() -> None:
    assert tuple(FORMATS) == OUTPUT_FORMATS and RC == RC_MODES
    assert set(POOLS) == {*POOLERS, "none"}
