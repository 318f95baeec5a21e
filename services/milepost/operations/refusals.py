"""Why a backup or a restore is not done; each message says what to do."""


class RefusedError(RuntimeError):
    """Nothing was changed, and the same call gives the same answer until something else is done first."""


class DamagedError(RefusedError):
    """The backup is not what was written: a file is missing, cut short or altered. Take another backup."""
