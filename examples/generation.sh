#!/bin/sh
# The examples of docs/generation.md, from the folder of this file into a folder of their own: sh generation.sh OUT
set -e
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"

# like my ten actives
bioxlstm generate --context "$here/actives.smi" -n 200 -o like_them.csv --seed 1 \
    --valid-only --unique --exclude "$here/actives.smi" --overwrite
head -n 6 like_them.csv
bioxlstm generate -m chem-small -n 200 -o any.csv --seed 1 --valid-only --unique --overwrite
python - "$here/actives.smi" like_them.csv any.csv <<'END'
import csv
import sys

from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

morgan = GetMorganGenerator(radius=2, fpSize=1024)
core = Chem.MolFromSmarts("O=c1cc[nX3]c2ccccc12")  # a 4-quinolone
actives = [morgan.GetFingerprint(mol) for mol in Chem.SmilesMolSupplier(sys.argv[1], titleLine=True) if mol]
for name in sys.argv[2:]:
    with open(name, newline="") as file:
        mols = [Chem.MolFromSmiles(row["sequence"]) for row in csv.DictReader(file)]
    fluorine = sum(any(atom.GetSymbol() == "F" for atom in mol.GetAtoms()) for mol in mols)
    nearest = [max(DataStructs.BulkTanimotoSimilarity(morgan.GetFingerprint(mol), actives)) for mol in mols]
    cores = sum(mol.HasSubstructMatch(core) for mol in mols)
    print(f"{name}: {len(mols)} molecules, {fluorine} with fluorine, {cores} quinolones, "
          f"similarity to the nearest active {sum(nearest) / len(mols):.3f}")
END

# a loop redesigned, with and without the family
bioxlstm generate --protein "$here/chey.fasta" --infill 51-58 --keep-length --context "$here/receivers.fasta" \
    -n 50 -o loops.csv --overwrite
bioxlstm generate --protein "$here/chey.fasta" --infill 51-58 --keep-length -n 50 -o loops_alone.csv --overwrite
head -n 4 loops.csv
for file in loops.csv loops_alone.csv; do
    awk -F, -v file=$file 'NR > 1 { sum += $10 } END { printf "%s: mean perplexity %.2f\n", file, sum / (NR - 1) }' $file
done

# a family sampled
bioxlstm state build "$here/receivers.fasta" -o receivers.state --overwrite
bioxlstm state info receivers.state
bioxlstm generate -m protein-small --state receivers.state -n 50 --top-k 10 --top-p 0.95 --max-length 200 \
    -o family.fasta --overwrite
head -n 6 family.fasta
bioxlstm evaluate generation family.fasta --reference "$here/receivers.fasta" -o family.json --overwrite
