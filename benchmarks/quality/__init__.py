"""What is found, not how fast: explanations, questions of several parts, screenshots, texts, single frames."""
