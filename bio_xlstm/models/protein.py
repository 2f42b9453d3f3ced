"""Prot-xLSTM (Schmidinger et al. 2024, section 4.2): residues, causal over one protein or a set of homologs."""

from bio_xlstm.models.family import Family

PROTEIN = Family("protein", kind="protein", defaults={"dim": 512, "blocks": 16, "heads": 4})
