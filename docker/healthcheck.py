"""Exit with 0 if the service of this container is ready to search: its model and its library are loaded."""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path

file = os.environ.get("QUARTET_API_KEY_FILE")
key = os.environ.get("QUARTET_API_KEY") or (Path(file).read_text().strip() if file else "")
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {key}"} if key else {})
sys.exit(connection.getresponse().status != http.client.OK)
