"""Search without training: CLIP- and SigLIP-type models, how they are fetched, loaded and asked."""
