# The TravelHub image: one image, one command each for the API, the worker, migrations and the bootstrap.
FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The packages first: they change less often than the code, so this layer is mostly taken from the cache.
COPY ops/requirements.lock ./ops/requirements.lock
RUN python -m venv /opt/travelhub \
 && /opt/travelhub/bin/pip install --require-hashes --only-binary :all: --requirement ops/requirements.lock

COPY pyproject.toml README.md LICENSE cli.py ./
COPY activities ./activities
COPY api ./api
COPY bench ./bench
# Of which the trip page serves one, by a link.
COPY clients ./clients
COPY gateways ./gateways
COPY sandbox ./sandbox
COPY schema ./schema
COPY search ./search
COPY store ./store
COPY workers ./workers
COPY workflows ./workflows
# The build backend and pip have done their work after this and stay behind.
RUN /opt/travelhub/bin/pip install --no-deps --no-build-isolation . \
 && /opt/travelhub/bin/pip uninstall --yes setuptools pip


FROM python:3.12-slim

LABEL org.opencontainers.image.title="TravelHub" org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin travelhub
COPY --from=build /opt/travelhub /opt/travelhub

ENV PATH=/opt/travelhub/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# Healthchecks are in docker-compose.temporal.yml: they differ from command to command.
ENTRYPOINT ["travelhub"]
CMD ["api"]
