"""What Jira's webhooks send, cut to what matters: names, types and nesting as Atlassian documents them.

https://developer.atlassian.com/cloud/jira/platform/webhooks/ and the issue of REST v2.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

CREATED = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)


def an_event(what: str = "created", minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """A ticket of 11:30, told of so many minutes later."""
    at = CREATED + timedelta(minutes=minutes)
    return {
        "timestamp": round(at.timestamp() * 1000),
        "webhookEvent": f"jira:issue_{what}",
        "issue_event_type_name": "issue_generic",
        "user": {"self": "https://acme.atlassian.net/rest/api/2/user?accountId=99", "accountId": "99"},
        "issue": {
            "id": "10040",
            "self": "https://acme.atlassian.net/rest/api/2/issue/10040",
            "key": "SUP-41",
            "fields": {
                "summary": "Orders  fail\nsince noon",
                "description": "Hello, ...",
                "created": CREATED.astimezone().strftime("%Y-%m-%dT%H:%M:%S.000%z"),
                "labels": ["urgent", "customer-initech"],
                "status": {"name": "To Do", "id": "10001", "statusCategory": {"id": 2, "key": "new", "name": "New"}},
                "reporter": {"accountId": "5c5f", "emailAddress": "mo@initech.example", "displayName": "Mo"},
                "customfield_10002": [{"id": "3", "name": "Initech", "_links": {"self": "https://acme.atlassian.net"}}],
                "customfield_10042": {"self": "https://acme.atlassian.net/o/1", "value": "initech", "id": "1"},
                "customfield_10043": None,
                "customfield_10044": 4711.0,
                **fields,
            },
        },
        "changelog": {"id": "10222", "items": []},
    }


DONE = {"name": "Done", "id": "10002", "statusCategory": {"id": 3, "key": "done", "name": "Done"}}
