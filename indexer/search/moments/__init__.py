"""Moments in the time of their videos: one thing after another, films by their best moments, each moment told once."""
