"""What one does with a model: embed, pre-train, evaluate, and the files these tasks write."""
