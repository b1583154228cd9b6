# syntax=docker/dockerfile:1.7

# The server of onejob. Build: docker build -t onejob .   Run: docs/deploying.md
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements/server.txt requirements/build.txt requirements/
# drain3 has no wheel: it is built with the setuptools of requirements/build.txt, which goes again below.
RUN python -m venv /opt/onejob \
    && /opt/onejob/bin/pip install --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && /opt/onejob/bin/pip install --require-hashes --only-binary :all: --no-binary drain3 --no-build-isolation \
        --requirement requirements/server.txt
# The sources come last: a change of code installs no dependency again.
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/onejob/bin/pip install --no-deps /tmp/wheel/*.whl \
    && /opt/onejob/bin/pip uninstall --yes pip setuptools hatchling editables pathspec pluggy trove-classifiers

FROM python:3.11.14-slim-bookworm

LABEL org.opencontainers.image.title="onejob" \
      org.opencontainers.image.description="Says for every deployment whether production got better or worse for users." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/onejob --create-home --shell /usr/sbin/nologin onejob
COPY --from=build /opt/onejob /opt/onejob

# Inside a container loopback leads nowhere: publish the ports on loopback, or on a network you trust.
ENV PATH=/opt/onejob/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ONEJOB_DATA_DIR=/var/lib/onejob \
    ONEJOB_LISTEN_HOST=0.0.0.0
USER 10001
WORKDIR /var/lib/onejob
VOLUME /var/lib/onejob
EXPOSE 4317 4318 8320
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8320/readyz', timeout=4)"]
# The server supervises its engine's process and ends it itself; `docker run --init` reaps what an engine may leave.
ENTRYPOINT ["onejob"]
CMD ["serve"]
