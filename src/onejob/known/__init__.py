"""The errors and log messages that services have ever shown: since when, in which versions, and what was said of them.

In: exceptions and log records in the store. Out: known errors with a status, counts and examples, to list and search.
Never: a verdict; whether something new is a deployment's fault is `verdict/novelties.py`'s question.
"""
