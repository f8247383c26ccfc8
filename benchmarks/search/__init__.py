"""Ranking over galleries of made vectors: time, recall and memory, versus other ways to search."""
