# One file for every service:  docker build --build-arg SERVICE=intake --tag redress/intake .
# and for the one-off jobs:    docker build --target setup --tag redress/setup .
# and for operators:           docker build --target tools --tag redress/tools .

# What the services need to run, in a virtual environment of its own: made again only when the pinned requirements change.
FROM python:3.13.14-slim-trixie AS requirements
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/redress
COPY requirements/runtime.txt /tmp/runtime.txt
RUN pip --python /opt/redress/bin/python install --no-deps --require-hashes --only-binary :all: --no-compile -r /tmp/runtime.txt \
 && python -m compileall -q -j 0 /opt/redress/lib

# The libraries that all services share, the command line, and a user who may write nothing but /keys, which the setup job alone is let write.
FROM python:3.13.14-slim-trixie AS libraries
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin redress \
 && install --directory --owner redress --group redress --mode 0700 /keys
RUN printf '#!/bin/sh\nexec python -m redress_cli.main "$@"\n' > /usr/local/bin/redress && chmod 0755 /usr/local/bin/redress
COPY --from=requirements /opt/redress /opt/redress
COPY libs /app/libs
COPY cli /app/cli
# Of the local stack the command line needs the list of services alone.
COPY deploy/local/redress_local/__init__.py deploy/local/redress_local/places.py deploy/local/redress_local/manifest.py /app/deploy/local/redress_local/
COPY services.toml /app/services.toml
RUN python -m compileall -q /app
ENV PATH=/opt/redress/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 REDRESS_HOME=/app
WORKDIR /app

# Topics, databases and their migrations, and in the local profile the development issuer: `python -m redress_local.setup_job`
FROM libraries AS setup
COPY services /app/services
COPY deploy/local /app/deploy/local
# Where a rebuild spools a whole journal: a volume, with as much room as the journal has bytes. And what of the keys is for services.
RUN install --directory --owner redress --group redress --mode 0700 /spool /service-keys
ENV TMPDIR=/spool
ENV PYTHONPATH=/app/libs/events:/app/libs/spine:/app/libs/chassis:/app/deploy/local:/app/cli:/app/services/intake:/app/services/triage:/app/services/handling:/app/services/sla-monitor:/app/services/callback
USER 10001:10001
ENTRYPOINT ["python", "-m", "redress_local.setup_job"]

# The command line with the code of all services, for whoever has a context and no repository: docker run redress/tools status
FROM setup AS tools
ENTRYPOINT ["redress"]

# One service, and no other's code. `redress` in it works on this service: docker compose exec intake redress verify
FROM libraries AS service
ARG SERVICE
RUN test -n "$SERVICE" || { echo "Name one: --build-arg SERVICE=intake" >&2; exit 1; }
COPY services/$SERVICE /app/services/$SERVICE
RUN python -m compileall -q "/app/services/$SERVICE"
# Which build this is, for /health/live, metrics and logs: --build-arg BUILD=$(git rev-parse --short HEAD)
ARG BUILD=unknown
ENV SERVICE=$SERVICE REDRESS_BUILD=$BUILD PYTHONPATH=/app/libs/events:/app/libs/spine:/app/libs/chassis:/app/services/$SERVICE:/app/cli:/app/deploy/local
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Not through a proxy, and without site-packages: it runs every few seconds. With TLS it asks this process alone, whatever its name.
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=5 CMD ["python", "-I", "-S", "-c", "import http.client as h, os, ssl, sys; a = ('127.0.0.1', 8080); c = h.HTTPSConnection(*a, timeout=4, context=ssl._create_unverified_context()) if os.environ.get('REDRESS_TLS_CERT_FILE') else h.HTTPConnection(*a, timeout=4); c.request('GET', '/health/ready'); sys.exit(c.getresponse().status != 200)"]
# exec: the server itself is told to stop. It lets requests end for 10 s; allow it 20 in all.
CMD ["sh", "-c", "exec python -m redress_chassis.serving redress_$(echo \"$SERVICE\" | tr - _).main:app --host 0.0.0.0 --port 8080"]
