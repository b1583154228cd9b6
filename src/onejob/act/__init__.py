"""What follows from a verdict: gates and rollouts.

In: verdicts and rollout plans. Out: traffic shares, transitions. Never: an action that is not recorded.
"""
