"""The errors that a user of the study is meant to read."""


class StudyError(Exception):
    """Bad input or a missing piece; the message is one line that says what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: IPython prints these lines in place of a traceback."""
        return str(self).splitlines()


class RunFailed(Exception):
    """A notebook stopped with an error; the message is one line."""
