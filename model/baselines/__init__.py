"""Published models that MCSAN is compared with, each trained on the same features, words and pairs."""
