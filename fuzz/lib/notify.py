# SPDX-License-Identifier: MIT
"""Tells of a finding: a webhook (HTTP POST of JSON), and a command such as a mail program, with the report as its input."""
import json
import os
import subprocess
import urllib.error
import urllib.request

ATTEMPTS = 5


def expand(words, finding):
    """{id}, {target}, {class}, {kind}, {place} and {title} in the words of the command; nothing goes through a shell."""
    values = {k: str(finding[k]) for k in ("id", "target", "class", "kind", "place", "title")}
    result = []
    for word in words:
        for key, value in values.items():
            word = word.replace("{" + key + "}", value)
        result.append(word)
    return result


def post(url, finding):
    """None, or why it did not arrive."""
    body = {k: finding[k] for k in ("id", "target", "class", "kind", "place", "title", "commit", "first_seen", "report")}
    # "text" is what the webhooks of the common chat programs show.
    body["text"] = f"fuzz finding {finding['id']}: {finding['title']}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read(4096)
        return None
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"webhook {url}: {error}"


def call(words, finding, report):
    """None, or why the command failed."""
    words = expand(words, finding)
    env = dict(os.environ, REDOUBT_FINDING=finding["id"], REDOUBT_TARGET=finding["target"],
               REDOUBT_REPORT=finding["report"])
    try:
        done = subprocess.run(words, input=report.encode(), env=env, timeout=30, capture_output=True, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"command {words[0]}: {error}"
    if done.returncode == 0:
        return None
    return f"command {words[0]}: exit {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}"


def send(finding, report, webhook, command):
    """Sends to what is set and has not yet been reached; finding['notified'] remembers. Returns what went wrong."""
    done = finding.setdefault("notified", {"attempts": 0, "webhook": False, "command": False})
    if done["attempts"] >= ATTEMPTS:
        return []
    wrong = []
    for name, wanted, act in (("webhook", webhook, lambda: post(webhook, finding)),
                              ("command", command, lambda: call(command, finding, report))):
        if wanted and not done[name]:
            error = act()
            done[name] = error is None
            wrong += [error] if error else []
    done["attempts"] += 1 if wrong else 0
    return wrong


def pending(finding, webhook, command):
    done = finding.get("notified", {"attempts": 0, "webhook": False, "command": False})
    return done["attempts"] < ATTEMPTS and bool((webhook and not done["webhook"]) or (command and not done["command"]))
