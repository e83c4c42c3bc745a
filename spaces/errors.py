"""The one exception for what a user can mend."""

from largebatch.spaces.printable import printable


class UserError(ValueError):
    """A mistake in a study file, a command line or a task: rule, value and way out in one message.

    The command line prints it without a traceback and exits with code 2. Others' texts in it are made printable.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
