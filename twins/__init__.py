"""The core of the app once more, in Flask and in FastAPI, to be compared by reading and by running.

    pages         what is neither framework's: htmx's headers, what a page shows, what an error says
    flask_app     Flask 3, served by Gunicorn as gunicorn_conf says
    fastapi_app   FastAPI, served by Uvicorn
    patterns      which function is which in the three apps, their source and their lines
    compare       the page that shows all three side by side
    __main__      `python -m twins` runs all of it, `python -m twins flask` one of them

Both use the store of the app, its contacts and its settings, and nothing of Chirp.
"""
