"""What a head may see of a sequence beside embeddings: each view is a block of columns, computed row by row."""
