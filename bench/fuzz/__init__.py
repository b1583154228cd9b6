"""Whatever bytes come in at a door, they are taken whole or refused in words; whatever the API is asked, it answers.

`targets` has a line for each reader of bytes, which atheris drives; schemathesis drives the API of a running server.
"""
