"""The command line: `python -m app serve`, `python -m app migrate`."""

import sys
from collections.abc import Callable

import click

from app.settings import BadSetting, Settings
from app.store import StoreError, open_store


@click.group(help=__doc__)
def cli() -> None:
    """Collect the commands."""


@cli.command()
def serve() -> None:
    """Serve the app. CONTACTS_STORE, _HOST, _PORT, _WORKERS and _ENV change how, see the README."""
    from app.server import serve

    _or_exit(lambda: serve(Settings.from_env()))


@cli.command()
def migrate() -> None:
    """Create or migrate the database that CONTACTS_STORE names, without serving."""

    def run() -> None:
        settings = Settings.from_env()
        open_store(settings.store).close()
        click.echo(f"{settings.store} is up to date.")

    _or_exit(run)


def _or_exit(command: Callable[[], None]) -> None:
    """Run a command; what a person can mend becomes one line and exit code 1."""
    try:
        command()
    except (BadSetting, StoreError) as error:
        click.echo(f"contacts: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    cli(prog_name="python -m app")
