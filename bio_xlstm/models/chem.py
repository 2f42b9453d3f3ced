"""Chem-xLSTM (Schmidinger et al. 2024, section 4.3): SMILES tokens, causal over one molecule or a set."""

from bio_xlstm.models.family import Family

CHEM = Family("chem", kind="smiles", defaults={"dim": 512, "blocks": 9, "heads": 8})
