# The image of every process of stream-app: worker, trainer, desk, deliverer, and the shop and the receiver of the stack.
# The base is pinned by its full version. Python packages come by the hashes of requirements/*.txt and nothing else is installed.

# --- build: an environment of its own in /opt/stream-app; what builds it stays behind in /build ------------------------
FROM python:3.11.14-slim-bookworm AS build

# Behind a mirror: docker compose build --build-arg PIP_INDEX_URL=... --build-arg UV_DEFAULT_INDEX=...
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX

WORKDIR /build
COPY requirements/bootstrap.txt requirements/runtime.txt requirements/
RUN python -m venv tools \
    && tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements/bootstrap.txt
RUN python -m venv --without-pip /opt/stream-app \
    && tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/stream-app/bin/python \
        --require-hashes --requirement requirements/runtime.txt

# The code last: while only it changes, the layers above are taken from the cache.
COPY pyproject.toml README.md LICENSE ./
COPY stream_app/ stream_app/
RUN tools/bin/hatchling build --target wheel --directory dist \
    && tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/stream-app/bin/python \
        --no-deps --offline dist/*.whl

# --- run ------------------------------------------------------------------------------------------------------------------
FROM python:3.11.14-slim-bookworm

# A number that no user of the host has. The folders give a new volume its owner.
RUN groupadd --gid 10001 stream-app \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin stream-app \
    && install --directory --owner 10001 --group 10001 --mode 0755 /secrets/model /secrets/webhook /secrets/grafana

COPY --from=build /opt/stream-app /opt/stream-app

# Nothing is written but to /tmp, so the file system may be read-only.
ENV PATH=/opt/stream-app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
WORKDIR /tmp

# Each process has a health check of its own, `stream-app health NAME`: docker-compose.yml says which.
HEALTHCHECK NONE
ENTRYPOINT ["stream-app"]
CMD ["--help"]
