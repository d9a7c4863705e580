# Two stages: pip and its caches stay in the first one. Both start from the same image, because the environment links to its Python.
FROM python:3.13-slim AS build

WORKDIR /app
# The lock file alone first: this layer, the large one, is rebuilt only when a dependency changes.
COPY requirements/runtime.txt requirements/
# --without-pip: the image's own pip installs into the environment, which so contains nothing that the service does not use.
# Wheels only: building from source would run build tools that no lock file holds.
RUN python -m venv --without-pip /venv \
 && python -m pip --python /venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY deploy deploy
COPY service service
# The pages offer them to try.
COPY examples/*.json examples/*.onnx examples/
# Bytecode is made here, since the container's root is read-only: without it every start and every job would compile again. It is trusted
# without a look at the source's date (unchecked-hash), as nothing changes in an image. Test modules of dependencies may not compile.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash service \
 && { python -m compileall -qq -j 0 --invalidation-mode unchecked-hash /venv/lib || true; }


FROM python:3.13-slim

LABEL org.opencontainers.image.title="Receptive" \
      org.opencontainers.image.description="What every layer of a neural network shares, what it skips and how far it sees" \
      org.opencontainers.image.licenses="Apache-2.0"

# UNBUFFERED: a log line is written when it happens. DONTWRITEBYTECODE: there is nowhere to write it, and it is there already.
# MALLOC_ARENA_MAX: glibc otherwise keeps memory for up to eight arenas per core, which counts in a container with many threads.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    PORT=8080 \
    RECEPTIVE_BIND=0.0.0.0 \
    RECEPTIVE_DATA_DIR=/data

# A numeric user, which Kubernetes can verify to be other than root (runAsNonRoot); it needs no entry in /etc/passwd.
# /data belongs to it, and so does a new volume that is mounted there. Anyone may write to it, so that the container can run as another
# user too (OpenShift chooses one at random), and because runc 1.1 gives a tmpfs that is mounted here this mode but root as its owner.
RUN mkdir /data && chown 10001:10001 /data && chmod 1777 /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080

# Liveness, not readiness: a service that waits for its store should not be restarted for it. The image has no curl and needs none.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/livez\", timeout=4)"]

# SIGTERM lets requests in flight end, for up to the graceful_timeout of gunicorn.conf.py (30 s): give the container a little more
# (docker stop -t 40). Exec form, so that gunicorn is process 1 and gets the signal. The service brings its embedded store up to date
# itself when it starts, so there is no script around it.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.api:create_app()"]
