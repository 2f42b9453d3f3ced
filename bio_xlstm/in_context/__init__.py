"""In-context learning: labelled examples are read into a state of fixed size, and queries are answered from it."""
