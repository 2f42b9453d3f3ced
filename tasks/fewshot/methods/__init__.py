"""What is compared in a few-shot evaluation: our learner and the methods that a chemist would use instead."""
