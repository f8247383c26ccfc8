"""Exhaustive scans with proven error bounds."""
