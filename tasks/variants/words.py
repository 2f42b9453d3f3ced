"""The words that the options of `variants` take, and the names of columns, without a heavy import."""

METHODS = ("auto", "likelihood", "marginal")
FORMATS = ("csv", "tsv", "parquet", "vcf")
PICTURES = (".png", ".svg")
# letters of a window around a variant of a genome
WINDOW = 512

# names of columns, in their comparable form, that are known without being told
MUTANT = (
    "mutant",
    "mutation",
    "mutations",
    "variant",
    "variants",
    "aa_change",
    "substitution",
    "mutation_code",
)
SEQUENCE = ("mutated_sequence", "mutant_sequence", "variant_sequence", "sequence", "seq", "aa_seq")
WILD_SEQUENCE = (
    "target_seq",
    "target_sequence",
    "wildtype_sequence",
    "wild_type_sequence",
    "wt_sequence",
    "wt_seq",
)
WILD_ID = (
    "dms_id",
    "wildtype",
    "wild_type",
    "wildtype_id",
    "wt",
    "target_id",
    "protein_id",
    "uniprot_id",
    "protein",
)
MEASURED = ("dms_score",)
MEASURED_BIN = ("dms_score_bin",)
