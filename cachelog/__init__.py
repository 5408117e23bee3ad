"""cachelog reads the logs of a model-serving fleet and says why its caches miss."""

__version__ = "0.1.0"
