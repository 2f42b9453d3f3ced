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

# a loop redesigned, with and without the family
bioxlstm generate --protein "$here/chey.fasta" --infill 51-58 --keep-length --context "$here/receivers.fasta" \
    -n 50 -o loops.csv --overwrite
bioxlstm generate --protein "$here/chey.fasta" --infill 51-58 --keep-length -n 50 -o loops_alone.csv --overwrite
head -n 4 loops.csv

# a family sampled
bioxlstm state build "$here/receivers.fasta" -o receivers.state --overwrite
bioxlstm state info receivers.state
bioxlstm generate -m protein-small --state receivers.state -n 50 --top-k 10 --top-p 0.95 --max-length 200 \
    -o family.fasta --overwrite
head -n 6 family.fasta
bioxlstm evaluate generation family.fasta --reference "$here/receivers.fasta" -o family.json --overwrite
