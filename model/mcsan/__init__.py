"""MCSAN (Nian et al. 2022): its two towers, the holographic head, its losses, its checkpoints and its encoder."""
