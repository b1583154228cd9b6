"""The pages a person sees: *Deployments* and *Deployment*, *Errors* and *Error*, *Backtest*.

In: a request and what `PageData` knows. Out: finished HTML, CSV and the live event stream.
Never: SQL, statistics, or a decision of its own; a page only says what the rest of the product found.
"""
