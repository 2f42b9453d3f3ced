"""Model families and what they share; `model.py` is the network, one thin file per family describes its defaults."""
