"""Access logs of proxies and web servers, for systems that nobody instruments.

In: lines as nginx, HAProxy, Apache and Envoy write them. Out: an entry span per request, over OTLP/HTTP, each sent
until it is acknowledged. Never: a query string, an address of a client, or more memory than a batch takes.
"""
