"""The commands about users: `python -m app user add NAME` and more. Where they sign in: app.web.sign_in."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from app.contacts.contact import now
from app.settings import BadSetting, Settings
from app.store import AccountError, Accounts, NameTaken, NoSuchUser, StoreError, User, open_store
from app.web.credentials import Keys, Passwords, clean_name, new_token, password_problem


@click.group("user")
def users() -> None:
    """Say who may sign in, where CONTACTS_AUTH is password."""


@users.command()
@click.argument("name")
def add(name: str) -> None:
    """Make the user NAME. Asks for a password, or reads it from the standard input."""
    with _accounts() as accounts:
        wanted = clean_name(name)
        if accounts.find(wanted):
            raise NameTaken(wanted)  # before a password is typed in vain
        user = accounts.add_user(wanted, Passwords().hash(_ask_password(wanted)), now())
    click.echo(f"{user.name} may sign in.")


@users.command("list")
def list_() -> None:
    """List the users, each with the number that the log calls it by."""
    with _accounts() as accounts:
        for user in accounts.users():
            sessions = len(accounts.sessions(user.id, now()))
            click.echo(
                f"{user.id}  {user.name}  (password of {user.changed_at:%Y-%m-%d}, sessions: {sessions})"
            )


@users.command()
@click.argument("name")
def password(name: str) -> None:
    """Give NAME another password, which ends all sessions of that user. Tokens stay: see `revoke`."""
    with _accounts() as accounts:
        user = _find(accounts, name)
        accounts.set_password(user.id, Passwords().hash(_ask_password(user.name)), now())
    click.echo(
        f"The password of {user.name} is changed, and all sessions are ended. Tokens stay: see `revoke`."
    )


@users.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the user NAME, with all sessions and tokens. Contacts stay as they are."""
    with _accounts() as accounts:
        user = _find(accounts, name)
        accounts.remove_user(user.id)
    click.echo(f"{user.name} may no longer sign in.")


@users.command("sign-out")
@click.argument("name")
def sign_out(name: str) -> None:
    """End all sessions of NAME. Tokens stay: see `revoke`."""
    with _accounts() as accounts:
        user = _find(accounts, name)
        accounts.end_sessions(user.id)
    click.echo(f"{user.name} is signed out everywhere.")


@users.command()
@click.argument("name")
@click.option("--label", required=True, help="What the token is for, such as “nightly export”.")
def token(name: str, label: str) -> None:
    """Make a token by which a program uses the JSON API as NAME, and print it, once."""
    settings = Settings.from_env()
    with _accounts() as accounts:
        keys = Keys(settings.secret)
        user, made = _find(accounts, name), new_token()
        kept = accounts.add_token(keys.key("token", made), user.id, label, now())
    click.echo(
        f"Token {kept.id} of {user.name}. It cannot be shown again. Send it as Authorization: Bearer.",
        err=True,
    )
    click.echo(made)


@users.command()
def tokens() -> None:
    """List the tokens for the JSON API."""
    with _accounts() as accounts:
        for each in accounts.tokens():
            click.echo(f"{each.id}  {each.user.name}  {each.label}  (made {each.created_at:%Y-%m-%d})")


@users.command()
@click.argument("number", type=click.IntRange(1))
def revoke(number: int) -> None:
    """Make the token NUMBER of `tokens` worthless."""
    with _accounts() as accounts:
        if not accounts.revoke(number):
            raise AccountError(f"There is no token {number}.")
    click.echo(f"Token {number} is revoked.")


@contextmanager
def _accounts() -> Iterator[Accounts]:
    """The accounts that the settings name; what a person can mend becomes one line and exit code 1."""
    try:
        with closing(open_store(Settings.from_env().store)) as store:
            yield store.accounts()
    except (BadSetting, StoreError, AccountError) as error:
        click.echo(f"contacts: {error}", err=True)
        sys.exit(1)


def _find(accounts: Accounts, name: str) -> User:
    found = accounts.find(clean_name(name))
    if found is None:
        raise NoSuchUser(f"There is no user {name}. `python -m app user list` names them.")
    return found[0]


def _ask_password(name: str) -> str:
    """A new password, typed twice on a terminal, or the first line of the standard input."""
    if sys.stdin.isatty():
        given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if problem := password_problem(given, name):
        raise AccountError(problem)
    return given
