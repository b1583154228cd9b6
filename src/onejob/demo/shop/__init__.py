"""The shop: storefront, checkout and payments, each a process of its own.

In: HTTP from customers. Out: HTTP answers, spans over OTLP. Never: anything about verdicts or the truth of a seed.
"""
