"""The URL table: which function answers which address."""

from chirp import App

from app.web import (
    api,
    api_docs,
    bulk,
    contacts,
    dashboard,
    duplicates,
    hello,
    lab,
    live,
    metrics,
    probes,
    sandboxes,
    sign_in,
    transfer,
    undo,
)


def register(app: App) -> None:
    """Register every route."""
    for method, path, handler in (
        ("GET", "/", contacts.home),
        ("GET", "/contacts", contacts.index),
        ("GET", "/contacts/search", contacts.index),
        ("GET", "/contacts/new", contacts.new),
        ("POST", "/contacts", contacts.create),
        ("POST", "/contacts/check", contacts.check),
        ("POST", "/contacts/bulk", bulk.bulk),
        ("GET", "/contacts/duplicates", duplicates.index),
        ("GET", "/contacts/merge", duplicates.new),
        ("POST", "/contacts/merge", duplicates.merge),
        ("DELETE", "/contacts/samples", contacts.delete_samples),
        ("GET", "/contacts/{contact_id:int}", contacts.show),
        ("GET", "/contacts/{contact_id:int}/edit", contacts.edit),
        ("PUT", "/contacts/{contact_id:int}", contacts.update),
        ("DELETE", "/contacts/{contact_id:int}", contacts.delete),
        ("POST", "/undo/{batch_id:int}", undo.undo),
        ("GET", "/activity", undo.activity),
        ("GET", "/import", transfer.index),
        ("POST", "/import", transfer.create),
        ("GET", "/import/{token}", transfer.show),
        ("POST", "/import/{token}", transfer.start),
        ("POST", "/import/{token}/cancel", transfer.cancel),
        ("GET", "/import/{token}/failed.csv", transfer.failed),
        ("GET", "/contacts.csv", transfer.export_csv),
        ("GET", "/contacts.vcf", transfer.export_vcard),
        ("GET", "/contacts.json", transfer.export_json),
        ("GET", "/contacts/export", transfer.export),
        ("POST", "/contacts/export", transfer.export),
        ("GET", "/dashboard", dashboard.dashboard),
        ("GET", "/hello", hello.hello),
        ("GET", "/api/docs", api_docs.index),
        ("GET", "/api/openapi.json", api_docs.document),
        ("GET", "/api/v1/contacts", api.index),
        ("POST", "/api/v1/contacts", api.create),
        ("POST", "/api/v1/contacts/bulk", api.bulk),
        ("POST", "/api/v1/contacts/import", api.import_),
        ("GET", "/api/v1/contacts/export", api.export),
        ("GET", "/api/v1/contacts/{contact_id:int}", api.show),
        ("PUT", "/api/v1/contacts/{contact_id:int}", api.replace_contact),
        ("PATCH", "/api/v1/contacts/{contact_id:int}", api.patch),
        ("DELETE", "/api/v1/contacts/{contact_id:int}", api.delete),
        ("GET", "/api/v1/batches/{batch_id:int}", api.show_batch),
        ("POST", "/api/v1/batches/{batch_id:int}/undo", api.undo),
        ("GET", "/metrics", metrics.index),
        ("GET", "/health", probes.health),
        ("GET", "/ready", probes.ready),
    ):
        app.route(path, methods=[method])(handler)
    app.route("/live", referenced=True)(live.stream)  # no page, so nothing for a browser to fetch beforehand


def register_lab(app: App) -> None:
    """Register the failure lab, where the settings allow it."""
    app.route("/lab", methods=["GET"])(lab.index)
    app.route("/lab/{fault}", methods=["POST"])(lab.start)


def register_demo(app: App) -> None:
    """Register what only a demo has."""
    app.route(sandboxes.RESET, methods=["POST"])(sandboxes.reset)


def register_sign_in(app: App) -> None:
    """Register where one signs in and out, where the settings ask for it."""
    app.route("/sign-in", methods=["GET"])(sign_in.new)
    app.route("/sign-in", methods=["POST"])(sign_in.create)
    app.route("/sign-out", methods=["POST"])(sign_in.delete)
    app.route("/account", methods=["GET"])(sign_in.account)
    app.route("/account", methods=["POST"])(sign_in.change_password)
