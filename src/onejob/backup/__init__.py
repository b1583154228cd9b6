"""Everything that a server keeps, as one file with checksums; and such a file as a data directory again.

In: a running server's parts, or a file. Out: a file, or a data directory. Never: a data directory that has something in
it already.
"""
