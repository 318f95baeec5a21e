# One image for every service: `docker run milepost run orders`. Needs no network once built.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/milepost
WORKDIR /src
# The requirements first, so that a change of our code does not install them again.
COPY requirements-image.lock ./
RUN /opt/milepost/bin/pip install --require-hashes --only-binary :all: --requirement requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY deploy deploy
RUN /opt/milepost/bin/pip install --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Milepost" \
      org.opencontainers.image.description="Tells a delivery operation, minute by minute, whether it keeps its promises" \
      org.opencontainers.image.licenses="Apache-2.0"
# Faust and others keep nothing here; the one writable place is for API keys and dead-letter work of the command line.
RUN groupadd --gid 10001 milepost \
    && useradd --uid 10001 --gid milepost --no-create-home --home-dir /var/lib/milepost --shell /usr/sbin/nologin milepost \
    && install --directory --owner milepost --group milepost --mode 0750 /var/lib/milepost /var/lib/milepost/keys
COPY --from=build /opt/milepost /opt/milepost
COPY deploy/docker/healthcheck.py /opt/milepost/healthcheck.py
ENV PATH=/opt/milepost/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MILEPOST_HOST=0.0.0.0 \
    MILEPOST_PORT=8080
WORKDIR /var/lib/milepost
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "/opt/milepost/healthcheck.py"]
ENTRYPOINT ["milepost"]
CMD ["--help"]
