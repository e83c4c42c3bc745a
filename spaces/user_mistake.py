"""The one exception for what a user can mend."""


class UserMistake(ValueError):
    """A mistake in a study file, a command line or a task: rule, value and way out in one message.

    The command line prints it without a traceback and exits with code 2.
    """
