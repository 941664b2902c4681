"""How Gunicorn serves the Flask twin, after its documentation on settings, design and deployment.

gunicorn -c python:twins.gunicorn_conf "twins.flask_app:create_app()"
"""

import os

from app.settings import Settings
from twins.flask_app import WINDOWS
from twins.pages import processes

_settings = Settings.from_env()

bind = f"{_settings.host}:{_settings.port}"
# gthread: idle keep-alive connections cost no thread, and one slow request holds up no other.
worker_class = "gthread"
workers = processes(_settings)
# A queue of connections for each process, filled by the kernel: from a common one the first to look takes
# them all. With port 0 each would have a port of its own.
reuse_port = workers > 1 and _settings.port != 0
threads = 2 * WINDOWS  # for each process; half of them may wait in event streams
preload_app = True  # one copy of the code, and one secret key; the store holds no connection here
graceful_timeout = 10  # seconds
accesslog = "-"
control_socket_disable = True  # nobody steers it, and its socket would be in the home folder
# The heartbeat of a worker is a file: not on a disk, where it could block (their FAQ).
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
