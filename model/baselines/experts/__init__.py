"""Models of several experts: each file of frame features is one, and a text says how much each of them counts."""
