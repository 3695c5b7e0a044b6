"""The broker: a pure hub, and the ZeroMQ shell around it."""
