"""In-context prediction: training of learners, supports as users bring them, predictions with their uncertainty."""
