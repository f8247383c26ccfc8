"""What people use: the HTTP API and the page, and the command line.

`http` speaks the protocol, `search` answers questions, `encoders` runs the model, `jobs` index in the background,
`observe` logs and counts, `page` is what a browser shows, `cli` is `quartet`.
"""
