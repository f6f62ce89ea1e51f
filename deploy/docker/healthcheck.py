"""Exit 0 if the server in this container answers its liveness probe.

Liveness and not readiness: while Redis is away, a restart of the container does not help.
"""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["FSCORE_PORT"]), timeout=2)
try:
    connection.request("GET", "/health/live")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"no answer: {error}")
sys.exit(0 if status == 200 else f"/health/live answered {status}")
