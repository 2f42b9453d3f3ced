"""Simple models that every trained one is compared with: no network, no GPU, seconds to minutes."""
