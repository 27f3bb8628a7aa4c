"""The one exception that is meant for the person at the keyboard."""


class InputError(Exception):
    """Input that cannot be used. The message says what is wrong, where, and what to do; a stage exits with code 2."""
