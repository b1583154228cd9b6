"""The REST API: the product's use cases as JSON over HTTP, described by /openapi.json.

In: requests. Out: JSON documents, RFC 9457 problems. Never: decisions, SQL. `app.state.services` holds what it uses.
"""

from onejob.web.api.routes import router

__all__ = ["router"]
