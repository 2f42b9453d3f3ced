"""Words to calls: one click command per file; `main.py` alone prints errors."""
