"""Texts of a library: captions that are added, subtitles next to and inside videos, writing on screen."""
