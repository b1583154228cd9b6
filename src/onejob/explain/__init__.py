"""Why a verdict came out as it did.

In: a Verdict and spans of both arms. Out: an Explanation. Never: a new judgement.
"""
