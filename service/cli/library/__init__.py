"""Commands that fill a library and look after it."""
