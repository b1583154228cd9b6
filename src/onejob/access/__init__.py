"""Who may come in: users with passwords or a provider's word, sessions of browsers, tokens of programs.

In: names, passwords, cookies, tokens. Out: the `Principal` behind a request, or a refusal that says what to do.
Never: HTTP, and never a password or a token in a log, a message or the database.
"""
