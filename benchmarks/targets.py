"""What the kernels are meant to reach, and whether the numbers at hand say that they do."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from summary import Row, failed, markdown, share_of

Figures = Mapping[str, Any]  # file -> what it holds
Values = Iterator[tuple[float | None, str]]  # a number and its case; None where ours failed


class Target(NamedTuple):
    """Ask for a number in all cases."""

    words: str
    asked: float
    values: Callable[[Figures], Values]
    most: bool = False  # the number is a limit from above
    gpu: bool = False


def shares(
    file: str, dtype: str, direction: str = "", case: str = "", bound: str = "of_bound"
) -> Callable[[Figures], Values]:
    """Look up the shares of a bound that ours reached."""

    def values(figures: Figures) -> Values:
        for row in _rows(figures, file, dtype, case):
            share = share_of(row, bound)
            wanted = row["role"] == "ours" and direction in ("", row["pass"])
            if wanted and (failed(row) or share is not None):
                yield share, _where(row)

    return values


def memory(figures: Figures) -> Values:
    """Look up the shares of memory that training steps needed."""
    for row in _rows(figures, "memory"):
        share = None if row["note"] else row["peak"] / row["held"]
        yield share, f"{row['family']} {row['batch']} x {row['time']:,}"


def against(
    file: str, contender: str, dtype: str = "", case: str = "", least: int = 0
) -> Callable[[Figures], Values]:
    """Look up how many times our time the fastest contender of a name took, from so many tokens a sequence on."""

    def values(figures: Figures) -> Values:
        cells: dict[tuple[str, ...], list[Row]] = {}
        for row in _rows(figures, file, dtype, case):
            if row.get("time", 0) >= least:
                cells.setdefault((row["case"], row["pass"], row["dtype"]), []).append(row)
        for cell in cells.values():
            ours = next((row for row in cell if row["role"] == "ours"), None)
            theirs = [row for row in cell if row["contender"].startswith(contender)]
            times = [row["against_ours"]["median"] for row in theirs if row.get("against_ours")]
            if ours is not None and (failed(ours) or times):
                yield (None if failed(ours) else min(times)), _where(ours)

    return values


SINGLE, HALF, STRICT = "float32", "bfloat16", "of_float32_bound"
FORWARD, BACKWARD = "forward", "forward+backward"
TARGETS = (
    Target("blocks and models, forward, float32", 0.70, shares("blocks", SINGLE, FORWARD)),
    Target("blocks, forward, bfloat16", 0.55, shares("blocks", HALF, FORWARD)),
    Target("the same, of the float32 products", 0.55, shares("blocks", HALF, FORWARD, bound=STRICT)),
    Target("blocks and models, forward+backward", 0.55, shares("blocks", SINGLE, BACKWARD)),
    Target("memory of a training step, of the plain form's", 1 / 3, memory, most=True),
    Target("decoding, float32", 0.65, shares("decode", SINGLE)),
    Target("decoding, bfloat16", 0.65, shares("decode", HALF)),
    Target("the same, of the float32 products", 0.65, shares("decode", HALF, bound=STRICT)),
    Target("64 sequences, float32: times the plain step", 7, against("decode", "plain step", SINGLE, "64 ")),
    Target("64 sequences, bfloat16: times the plain step", 14, against("decode", "plain step", HALF, "64 ")),
    Target(
        "sLSTM: times the loop over tokens", 20, against("kernels", "torch, token by token", case="slstm")
    ),
    *(
        Target(words, asked, values, gpu=True)
        for words, asked, values in (
            ("mLSTM: times the original kernels", 1.3, against("kernels-gpu", "mlstm_kernels", case="mlstm")),
            (
                "1,048,576 tokens: times the original kernels",
                5,
                against("kernels-gpu", "mlstm_kernels", case="mlstm", least=1 << 20),
            ),
            (
                "mLSTM: times simple_gla",
                1,
                against("kernels-gpu", "flash-linear-attention simple_gla", case="mlstm"),
            ),
            (
                "mLSTM from 2,048 tokens on: times attention",
                1,
                against("kernels-gpu", "torch attention", case="mlstm", least=2048),
            ),
            ("decoding 256 sequences, bfloat16", 0.8, shares("decode-gpu", HALF, case="256 ")),
            ("sLSTM: times nn.LSTM", 1, against("kernels-gpu", "torch nn.LSTM", case="slstm")),
        )
    ),
)


def target_table(figures: Figures) -> str:
    """Return what was asked for, what was measured and whether that is enough."""
    lines = [["of the bound, where nothing else is said", "asked", "measured", "reached"]]
    missing = []
    for target in TARGETS:
        values = list(target.values(figures))
        if target.gpu and not values:
            missing.append(f"{target.words} ({target.asked:g})")
        else:
            limit = f"{'at most' if target.most else 'at least'} {target.asked:.3g}"
            lines.append([target.words, limit, *_verdict(target, values)])
    absent = f"\nNot measured, no GPU at hand: {'; '.join(missing)}.\n" if missing else ""
    return markdown(lines) + absent


def _verdict(target: Target, values: list[tuple[float | None, str]]) -> tuple[str, str]:
    """Say what was measured and whether it is enough, naming the worst case where it is not."""
    if not values:
        return "not measured", "-"
    wrong = [where for value, where in values if value is None]
    if wrong:
        return f"failed: {wrong[0]}", "**no**"
    ordered = sorted((value, where) for value, where in values if value is not None)
    (low, least), (high, most) = ordered[0], ordered[-1]
    good = high <= target.asked if target.most else low >= target.asked
    text = f"{low:.2f}" if len(ordered) == 1 else f"{low:.2f} to {high:.2f}"
    return (text, "yes") if good else (f"{text} (worst: {most if target.most else least})", "**no**")


def _rows(figures: Figures, file: str, dtype: str = "", case: str = "") -> Iterator[Row]:
    """Yield the rows of a file of a dtype whose case begins as given; none where the file is missing."""
    for row in figures[file]["rows"] if file in figures else ():
        if dtype in ("", row.get("dtype")) and row.get("case", "").startswith(case):
            yield row


def _where(row: Row) -> str:
    """Name a cell."""
    return f"{row['case']}, {row['pass']}, {row['dtype']}"
