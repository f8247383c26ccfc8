"""Large galleries: a fast scan of 4-bit codes proposes rows, which are then scored truly."""
