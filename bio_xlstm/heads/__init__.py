"""Prediction heads: from the hidden states of a model to measured values, classes, ranks or labels of letters."""
