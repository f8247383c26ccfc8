"""Texts of a library: captions that are added, subtitles beside and inside of videos, writing on screen."""
