"""Everything that a server keeps, as one file with checksums; and such a file as a server's again, on any engine.

In: a running server's parts, or a file. Out: a file, or a data directory with its databases. Never: into a place that
has something in it already.
"""
