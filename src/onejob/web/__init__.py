"""The API and the pages.

In: HTTP. Out: JSON, HTML, server-sent events. Never: SQL, statistics.
"""
