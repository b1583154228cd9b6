"""What is wrong with an installation, and what to do about it.

In: a running server's parts, or the settings of one that does not run. Out: findings. Never: a repair.
"""
