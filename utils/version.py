"""The service's version, for whoever asks the running service. A test of the API's description holds it to pyproject.toml."""

VERSION = "0.1.0"
