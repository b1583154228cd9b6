"""The words of the product as frozen dataclasses.

In: nothing. Out: Deployment, Verdict, Explanation, Rollout and their parts. Never: I/O, behaviour.
"""
