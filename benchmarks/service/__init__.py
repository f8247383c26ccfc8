"""The service and its page from outside: load, start, attacks, fuzzing, what a browser waits for."""
