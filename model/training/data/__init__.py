"""What is trained on: captioned videos, their features, cached texts, splits, and batches of pairs."""
