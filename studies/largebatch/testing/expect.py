"""One expectation of a suite. No ``assert``: ``python -O`` would leave it out."""


def expect(holds: object, message: str) -> None:
    """Raise an ``AssertionError`` that says ``message`` unless ``holds``."""
    if not holds:
        raise AssertionError(message)
