"""From query vectors to ranked clips and captions of the live generation: many questions in one pass, films, texts."""
