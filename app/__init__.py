"""Contacts: a contact manager served as hypermedia by Chirp, Kida and Pounce.

The rooms of the house, each importing only from those above it:

    settings    the settings; imports nothing of ours
    contacts/   what a contact is: standard library only, no web, no SQL
    store/      where contacts are kept: memory, SQLite or PostgreSQL behind one contract
    mending     how a fault of a library is mended in place
    web/        what a request does: one module per feature, one function per route
    routes      the URL table
    main        create_app(settings): joins the parts
    bounds      what clients may send, over HTTP/1.1 and HTTP/2
    listening   the address, and who answers there before the app can
    pounce_fixes    the mended faults of Pounce, and its bounds for what clients send
    server      how Pounce runs the app
    probing     asking a server that runs
    users       the commands about those who sign in
    __main__    the command line

`tests/test_architecture.py` keeps these arrows.
"""
