"""Why a verdict came out as it did.

In: a Verdict and spans of both arms. Out: an Explanation: where, who, which calls, and traces to look at. Never: a new
judgement.
"""
