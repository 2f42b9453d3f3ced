#!/bin/sh
# The examples of docs/finetuning.md, into a folder of their own: sh finetuning.sh DATA OUT
# DATA holds the published files as they are: mol_assays/esol.csv.xz (ESOL), protein_assays/flip_gb1_two_vs_rest.csv.xz
# (FLIP), dna_tasks/ecoli_promoter_{positive,negative}2860.fa.xz (RegulonDB's promoters and other pieces of the genome)
set -e
data=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"

# how well molecules dissolve; scaffolds of the test part are not in the training part
bioxlstm finetune "$data/mol_assays/esol.csv.xz" -o solubility-model \
    --target "measured log solubility in mols per litre" --split scaffold --overwrite
printf 'name,smiles\nIbuprofen,CC(C)Cc1ccc(cc1)C(C)C(=O)O\nCaffeine,Cn1cnc2c1c(=O)n(C)c(=O)n2C\nbad,C1CC\n' > new.csv
bioxlstm predict solubility-model new.csv -o predicted.csv --overwrite
cat predicted.csv

# promoters of E. coli and other pieces of its genome
{
    echo sequence,promoter
    for label in positive negative; do
        xz -dc "$data/dna_tasks/ecoli_promoter_${label}2860.fa.xz" |
            awk -v label=$label 'function row() { if (s != "") print toupper(s) "," label; s = "" }
                /^>/ { row(); next } { s = s $1 } END { row() }'
    done
} > promoters.csv
bioxlstm finetune promoters.csv -o promoter-model --overwrite

# protein GB1: from single and double mutants to those with three and four
bioxlstm finetune "$data/protein_assays/flip_gb1_two_vs_rest.csv.xz" -o gb1-model \
    --target target --split column --split-column set --overwrite
