"""What each method of the clients asks the service for, as data: nothing here sends anything.

`quartet.client` sends it, `quartet.answers` reads what comes back. What takes several requests: `quartet.operations`.
"""
