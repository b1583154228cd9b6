"""What syslog and journald write before a line of a server."""

import re

# RFC 3164 and 5424, as they are sent and as rsyslog and journald write them to a file.
_TIME = r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+)"
PREFIX = re.compile(rf"(?:<\d{{1,3}}>(?:1 )?)?{_TIME} (?:\S+ )?(?:[\w.-]+(?:\[\d+\])?: |[\w.-]+ \S+ \S+ (?:- )?)")
