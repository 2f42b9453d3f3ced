"""General language models over token ids: xLSTM-large and whatever else has a tokenizer of its own."""

from bio_xlstm.models.family import Family

TOKENS = Family("tokens", kind="tokens", defaults={"block": "post_up", "norm_eps": 1e-6})
