"""The errors a user can cause and mend."""


class InputError(Exception):
    """Bad input. The message is one line that names the file, key or record, and what to do.

    The shell prints it without a traceback and ends with status 2; nothing has been written.
    """
