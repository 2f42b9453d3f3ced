"""New molecules, proteins and DNA from a causal model."""
