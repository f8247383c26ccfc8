"""Moments in time: one after another, films by their best moments, repeated moments left out."""
