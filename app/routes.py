"""The URL table: which function answers which address."""

from chirp import App

from app.web import contacts, dashboard, hello, undo


def register(app: App) -> None:
    """Register every route. /health and /ready are Chirp's own."""
    for method, path, handler in (
        ("GET", "/", contacts.home),
        ("GET", "/contacts", contacts.index),
        ("GET", "/contacts/search", contacts.index),
        ("GET", "/contacts/new", contacts.new),
        ("POST", "/contacts", contacts.create),
        ("DELETE", "/contacts/samples", contacts.delete_samples),
        ("GET", "/contacts/{contact_id:int}", contacts.show),
        ("GET", "/contacts/{contact_id:int}/edit", contacts.edit),
        ("PUT", "/contacts/{contact_id:int}", contacts.update),
        ("DELETE", "/contacts/{contact_id:int}", contacts.delete),
        ("POST", "/undo/{batch_id:int}", undo.undo),
        ("GET", "/dashboard", dashboard.dashboard),
        ("GET", "/hello", hello.hello),
    ):
        app.route(path, methods=[method])(handler)
