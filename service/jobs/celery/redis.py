"""What kombu's transport for Redis does not do: go on when an acknowledgement fails.

A worker that has as many messages as it may have does not look at its connection until one is acknowledged. Where that fails because the
connection is gone, kombu counts the message as unacknowledged for ever, so the worker never looks again and never connects again. Here the
message counts as done with in any case: the broker gives it out once more, and whoever gets it drops it (see broker).
"""

from __future__ import annotations

from kombu.transport import redis, virtual


class ForgivingQoS(redis.QoS):  # type: ignore[misc]
    """Messages that are with this process; one whose acknowledgement fails is so no longer."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message."""
        try:
            super().ack(delivery_tag)
        except redis.get_redis_error_classes().connection_errors:
            virtual.QoS.ack(self, delivery_tag)
            raise


def install() -> None:
    """Have every connection to Redis of this process forgive."""
    redis.Channel.QoS = ForgivingQoS
