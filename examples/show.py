"""Print what embedding files hold: statuses, dimensions, first rows, and who is whose nearest neighbour.

python examples/show.py proteins.parquet [more.parquet ...]
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def main(paths: list[str]) -> None:
    """Show every file in turn."""
    for path in paths:
        show(Path(path))


def show(path: Path) -> None:
    """Show one file."""
    table = pq.read_table(path)
    rows = table.drop_columns("embedding").to_pylist()
    embedded = np.array([row["status"] in ("ok", "cleaned", "windowed") for row in rows])
    vectors = np.array(table.column("embedding").filter(embedded).to_pylist(), dtype=np.float32)  # (N, D)
    counts = Counter(row["status"] for row in rows)

    print(f"\n== {path}: {len(rows)} rows, {len(vectors)} embeddings of {vectors.shape[1]} numbers")
    print("   status: " + ", ".join(f"{status} {n}" for status, n in counts.most_common()))
    for row in rows:
        if row["status"] != "ok":
            print(f"   row {row['row']} ({row['id']}): {row['status']}. {row['detail']}")
    print(f"\n   {'id':<22}{'length':>7}  first numbers of the embedding")
    ids = [row["id"] for row, good in zip(rows, embedded, strict=True) if good]
    lengths = [row["length"] for row, good in zip(rows, embedded, strict=True) if good]
    for name, length, vector in list(zip(ids, lengths, vectors, strict=True))[:3]:
        print(f"   {name:<22}{length:>7}  " + " ".join(f"{x:6.2f}" for x in vector[:6]) + " ...")
    print("\n   nearest neighbours (cosine of embeddings minus their mean)")
    for name, found in neighbours(ids, vectors):
        print(f"   {name:<22} -> " + ", ".join(f"{other} {cosine:.2f}" for other, cosine in found))


def neighbours(ids: list[str], vectors: np.ndarray) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return the three nearest neighbours of six records spread over the file."""
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-12
    cosine = centred @ centred.T  # (N, N)
    np.fill_diagonal(cosine, -np.inf)
    chosen = np.linspace(0, len(ids) - 1, 6).astype(int)
    best = np.argsort(-cosine[chosen], axis=1, kind="stable")[:, :3]
    return [
        (ids[i], [(ids[j], float(cosine[i, j])) for j in found])
        for i, found in zip(chosen, best, strict=True)
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
