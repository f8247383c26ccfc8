"""What several published models are made of: words counted, recurrent states, concepts matched, momentum contrast."""
