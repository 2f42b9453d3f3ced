"""DNA-xLSTM (Schmidinger et al. 2024, section 4.1): single bases, small width, causal or both ways."""

from bio_xlstm.models.family import Family

DNA = Family("dna", kind="dna", defaults={"dim": 128, "blocks": 4, "heads": 4})
