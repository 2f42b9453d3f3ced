"""Rank a file of predictions in context, and draw the best: python examples/ranked.py predicted.csv [best.png]."""

import csv
import sys

COUNTED = (20, 50, 100)
DRAWN = 12


def main(path: str, picture: str = "") -> None:
    """Print the best molecules, and how many of those that were measured stand among them."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["probability"]]
    rows.sort(key=lambda row: -float(row["probability"]))
    for place, row in enumerate(rows[:5], 1):
        numbers = f"probability {float(row['probability']):.3f}  similarity {float(row['similarity']):.2f}"
        print(f"{place}  {numbers}  {row['smiles']}")
    measured = [row.get("measured", "") for row in rows]
    for count in (*COUNTED, len(rows)):
        best = measured[:count]
        print(f"of the best {count:,}: {best.count('yes')} measured active, {best.count('no')} inactive")
    if picture:
        draw(rows[:DRAWN], picture)


def draw(rows: list[dict[str, str]], picture: str) -> None:
    """Draw molecules with their probability and what was measured."""
    from bio_xlstm.tasks.evaluate.grid import draw_molecules

    words = {"yes": "active", "no": "inactive"}
    legends = [
        f"{float(row['probability']):.2f}  {words.get(row.get('measured', ''), '')}".strip() for row in rows
    ]
    with open(picture, "wb") as file:
        file.write(
            draw_molecules([(row["smiles"], legend) for row, legend in zip(rows, legends, strict=True)])
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
