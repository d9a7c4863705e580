"""How bytes of HTTP come and go: gunicorn's threaded worker, made patient with slow clients. It knows nothing of the service."""
