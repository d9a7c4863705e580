"""The broker: carries messages to workers. It may lose them, double them or be away; what counts is in the store.

1. A message is a question in JSON and names a task of the table; its id is that of the job. Nothing in it is run, imported or unpickled.
2. A message is acknowledged when its job has ended (acks late), so one that was with a worker that died comes again. Whoever gets a message
   whose job has ended, or is with another worker, drops it.
3. Nothing comes back this way: results are in the store.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from celery import Celery
from kombu import Connection
from kombu import Queue as Route
from kombu.exceptions import OperationalError

from service.jobs.celery.redis import install
from service.store.interfaces import SINGLE, Job
from service.work.tasks import Task

log = structlog.get_logger(__name__)

NAME = "receptive.work"
"""The one thing that Celery knows of: work on the job of the message."""

REDIS = ("redis", "rediss", "sentinel")
TAKEN_OVER, WAITED_FOR, OF_A_BATCH = PRIORITIES = (0, 3, 9)
"""The order of messages: a job of a worker that died has waited before. Redis has a list for each; RabbitMQ takes the largest first."""

MAX_PRIORITY = max(PRIORITIES)

TIMEOUT_SECONDS = 5.0
HEARTBEAT_SECONDS = 30
SPARE_SECONDS = 60.0
"""How much longer than a job may take its message stays with a worker before the broker gives it to another."""

RETRY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.1}


def priority(job: Job) -> int:
    """Where a job's message stands: the smallest number comes first."""
    if job.attempts > 1:
        return TAKEN_OVER
    return WAITED_FOR if job.rank == SINGLE else OF_A_BATCH


class Broker:
    """The queue `name` at a broker's address (redis:// or amqp://), for jobs that take `wall_seconds` at the most."""

    def __init__(self, url: str, name: str, wall_seconds: float) -> None:
        self._is_redis = urlsplit(url).scheme in REDIS
        if self._is_redis:
            install()
        self._route = Route(name, routing_key=name, queue_arguments={"x-max-priority": MAX_PRIORITY})
        self.app = Celery("receptive", broker=url, set_as_current=False, changes=self._settings(name, wall_seconds))
        connection: Connection = self.app.connection_for_write()
        self._errors = (OperationalError, *connection.connection_errors, *connection.channel_errors)

    def publish(self, job: Job, task: Task) -> bool:
        """Send a job's message; whether that was possible."""
        try:
            self.app.send_task(
                NAME,
                kwargs={"task": task.name, "question": job.request},
                task_id=job.id,
                priority=priority(job) if self._is_redis else MAX_PRIORITY - priority(job),
                retry_policy=RETRY,
                argsrepr="",
                kwargsrepr="",
            )
        except self._errors as error:
            log.warning("broker-unavailable", job=job.id, error=str(error))
            return False
        return True

    def depth(self) -> int | None:
        """How many messages wait for a worker; None where the broker does not say."""
        try:
            with self.app.pool.acquire(block=True, timeout=TIMEOUT_SECONDS) as connection:
                connection.ensure_connection(**RETRY)
                with connection.channel() as channel:
                    queue = self._route(channel)
                    queue.declare()
                    return int(queue.queue_declare().message_count)
        except self._errors as error:
            log.warning("broker-unavailable", error=str(error))
            return None

    def close(self) -> None:
        """Hang up."""
        self.app.close()

    def _settings(self, name: str, wall_seconds: float) -> dict[str, object]:
        """Celery's settings (docs.celeryq.dev, Configuration and defaults)."""
        return {
            "task_queues": [self._route],
            "task_default_queue": name,
            "task_serializer": "json",
            "accept_content": ["json"],
            "task_ignore_result": True,
            "task_acks_late": True,
            "task_reject_on_worker_lost": True,
            "worker_prefetch_multiplier": 1,
            "worker_enable_remote_control": False,
            "worker_send_task_events": False,
            "worker_hijack_root_logger": False,
            "worker_redirect_stdouts": False,
            "worker_cancel_long_running_tasks_on_connection_loss": False,
            "broker_connection_timeout": TIMEOUT_SECONDS,
            "broker_connection_retry_on_startup": True,
            "broker_connection_max_retries": None,
            "broker_heartbeat": HEARTBEAT_SECONDS,
            "broker_transport_options": self._transport(name, wall_seconds),
        }

    def _transport(self, name: str, wall_seconds: float) -> dict[str, object]:
        if not self._is_redis:
            return {"confirm_publish": True}
        return {
            # Several services may share one Redis.
            "global_keyprefix": f"{name}:",
            "visibility_timeout": wall_seconds + SPARE_SECONDS,
            "priority_steps": list(PRIORITIES),
            "queue_order_strategy": "priority",
            "socket_connect_timeout": TIMEOUT_SECONDS,
            "socket_timeout": TIMEOUT_SECONDS,
            "socket_keepalive": True,
        }
