"""The servers whose access logs are read."""

from enum import StrEnum


class Format(StrEnum):
    """Who wrote the log; AUTO finds out."""

    NGINX = "nginx"
    HAPROXY = "haproxy"
    APACHE = "apache"
    ENVOY = "envoy"
    AUTO = "auto"
