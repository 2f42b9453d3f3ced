"""Metrics of predictions against measured values, with bootstrap intervals; `measure` is the door."""
