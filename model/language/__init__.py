"""Sentences: parsed into nouns, verbs and who does what to whom, and encoded as sentence and word vectors."""
