"""`onejob demo`: a small real shop, shipped five times in front of a real judge.

In: a seed, which draws what is wrong with which version. Out: a story on the terminal, and a report of what the judge
said against what was true. Never: any hint of the seed or the truth to the server.
"""
