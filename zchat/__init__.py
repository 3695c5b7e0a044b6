"""zchat: a self-hosted chat and pub/sub messaging broker on ZeroMQ."""

__version__ = "0.1.0"
