"""Goes to executors with --py-files."""


def answer():
    return 42
