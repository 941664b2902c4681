"""What mypy reads for `from chirp import ...`: chirp imports on first use, and so types everything as object.

Add a name here when mypy says that module "chirp" has no such attribute.
"""

from chirp.app import App as App
from chirp.config import AppConfig as AppConfig
from chirp.context import g as g
from chirp.context import get_request as get_request
from chirp.errors import HTTPError as HTTPError
from chirp.errors import NotFound as NotFound
from chirp.health import HealthCheck as HealthCheck
from chirp.http.request import Request as Request
from chirp.http.response import Response as Response
from chirp.realtime.events import EventStream as EventStream
from chirp.realtime.events import SSEEvent as SSEEvent
from chirp.templating.returns import OOB as OOB
from chirp.templating.returns import Fragment as Fragment
from chirp.templating.returns import Page as Page
from chirp.templating.returns import Template as Template
from chirp.templating.returns import TemplateStream as TemplateStream
from chirp.templating.returns import ValidationError as ValidationError
