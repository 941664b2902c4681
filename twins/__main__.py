"""`python -m twins` runs the three apps side by side; with `flask`, `fastapi` or `chirp` only that one.

One alone is configured like the app, by the CONTACTS_ variables.
"""

import os
import sys

import click

from app.settings import BadSetting, Settings
from app.store import StoreError
from twins.pages import FRAMED_BY, open_with_samples, processes


@click.group(help=__doc__, invoke_without_command=True)
@click.option("--port", default=0, help="Where the page that shows all three listens; 0 for any free port.")
@click.pass_context
def cli(context: click.Context, port: int) -> None:
    """Run all three, unless one is named."""
    if context.invoked_subcommand is None:
        from twins.compare import run

        run(port)


@cli.command()
def flask() -> None:
    """The Flask twin, served by Gunicorn."""
    _prepare()
    _become("gunicorn", "--config", "python:twins.gunicorn_conf", "twins.flask_app:create_app()")


@cli.command()
def fastapi() -> None:
    """The FastAPI twin, served by Uvicorn."""
    settings = _prepare()
    _become(
        "uvicorn",
        "twins.fastapi_app:create_app",
        "--factory",
        f"--host={settings.host}",
        f"--port={settings.port}",
        f"--workers={processes(settings)}",
        "--timeout-graceful-shutdown=3",  # open event streams are cut then; Uvicorn does not tell them
    )


@cli.command()
def chirp() -> None:
    """The Chirp app as `python -m app serve` runs it, but that the page of all three may frame it."""
    from app.server import serve
    from app.web import headers

    policy = headers.CONTENT_SECURITY_POLICY
    headers.HEADERS["Content-Security-Policy"] = policy.replace(
        "frame-ancestors 'none'", f"frame-ancestors {FRAMED_BY}"
    )
    serve(Settings.from_env())


@cli.command()
def count() -> None:
    """Count the lines again that the README tells of."""
    from twins.patterns import README, with_table

    README.write_text(with_table(README.read_text()))


def _prepare() -> Settings:
    """Make and fill the database before several processes open it at once."""
    try:
        settings = Settings.from_env()
        if settings.store != "memory:":
            open_with_samples(settings).close()
    except (BadSetting, StoreError) as error:
        click.echo(f"twins: {error}", err=True)
        sys.exit(1)
    return settings


def _become(*command: str) -> None:
    """Go on as this server, in the same process: signals reach it."""
    os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
    cli(prog_name="python -m twins")
