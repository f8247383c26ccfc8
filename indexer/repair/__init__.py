"""Healing a damaged library: its files out of each other, and lost items out of the videos."""
