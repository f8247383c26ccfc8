"""What is fitted around the training loop: dropout and level weights, ordered pairs, and what clips show."""
