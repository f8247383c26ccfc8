"""How good a model is at retrieval, both ways."""
