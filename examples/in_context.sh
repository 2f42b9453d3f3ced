#!/bin/sh
# The example of docs/in-context.md, into a folder of its own: sh in_context.sh DATA OUT
# Six actives and six inactives of an assay of epoxide hydrolase, and a library of 10,000 molecules: the other molecules of
# that assay among molecules of ChEMBL. DATA holds mol_assays/fsmol_valid.tsv.xz (FS-Mol) and smiles/chembl31_valid50k.smi.xz
set -e
here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"

python - "$here/epoxide_hydrolase.csv" "$data" <<'END'
import csv
import lzma
import sys

support, data = sys.argv[1:]
with open(support, newline="") as file:
    known = {row["smiles"] for row in csv.DictReader(file)}
with lzma.open(f"{data}/mol_assays/fsmol_valid.tsv.xz", "rt") as file:
    assay = [row for row in csv.DictReader(file, delimiter="\t") if row["assay_id"] == "CHEMBL3705467"]
rows = [(row["smiles"], "yes" if row["property"] == "1.0" else "no") for row in assay if row["smiles"] not in known]
with lzma.open(f"{data}/smiles/chembl31_valid50k.smi.xz", "rt") as file:
    rows += [(line.split()[0], "") for line, _ in zip(file, range(10_000 - len(rows)))]
with open("library.csv", "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows([("smiles", "measured"), *rows])
END

# read the twelve once, and the library from that state
bioxlstm state build --support "$here/epoxide_hydrolase.csv" -o hydrolase.state --overwrite
bioxlstm predict --state hydrolase.state library.csv -o predicted.csv --overwrite
python "$here/ranked.py" predicted.csv ranked.png
