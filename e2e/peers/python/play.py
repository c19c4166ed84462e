"""What every script needs: whom to talk to, a browser to send somewhere, and a way to say what was seen."""

import json
import os
import sys

setting = json.loads(os.environ["PEER"])


def visit(url):
    """Sends the browser there; gives the URL that it came back to."""
    print(json.dumps({"visit": url}), flush=True)
    return sys.stdin.readline().strip()


def play(flows):
    """Plays the flow that the command line names."""
    report = flows[sys.argv[1]]()
    print(json.dumps({"report": report}), flush=True)
