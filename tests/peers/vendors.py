"""Holds requests to PagerDuty and Statuspage against what their documentation says, written down here as JSON schemas.

Sources:
- Events API v2: https://developer.pagerduty.com/docs/send-alert-event (fields, required ones, severities, 255 and 1024 characters)
- Notes: https://developer.pagerduty.com/api-reference/a1ac30885eb7a-create-a-note-on-an-incident (`From`, `note.content`)
- Incidents: https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents (names of the query)
- Statuspage: https://developer.statuspage.io/#operation/postPagesPageIdIncidents and patchPagesPageIdIncidentsIncidentId
"""

import json
import os
import re
import urllib.parse

import jsonschema


def closed(properties, required):
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT = {"type": "string", "minLength": 1}
EVENT = closed(
    {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": TEXT,
        "client_url": TEXT,
        "links": {"type": "array"},
        "images": {"type": "array"},
        "payload": closed(
            {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": TEXT,
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": TEXT,
                "component": TEXT,
                "group": TEXT,
                "class": TEXT,
                "custom_details": {"type": "object"},
            },
            ["summary", "source", "severity"],
        ),
    },
    ["routing_key", "event_action", "dedup_key"],
)
EVENT["if"] = {"properties": {"event_action": {"const": "trigger"}}}
EVENT["then"] = {"required": ["payload"]}

NOTE = closed({"note": closed({"content": TEXT}, ["content"])}, ["note"])

INCIDENT_FIELDS = {
    "name": TEXT,
    "status": {"enum": ["investigating", "identified", "monitoring", "resolved"]},
    "impact_override": {"enum": ["none", "minor", "major", "critical"]},
    "deliver_notifications": {"type": "boolean"},
    "metadata": {"type": "object", "additionalProperties": {"type": "object"}},
    "body": {"type": "string", "maxLength": 25000},
    "components": {
        "type": "object",
        "additionalProperties": {
            "enum": ["operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage"]
        },
    },
    "component_ids": {"type": "array", "items": TEXT},
}


def incident(required):
    return closed({"incident": closed(INCIDENT_FIELDS, [*required, "deliver_notifications"])}, ["incident"])


EVENTS, REST, PAGE = {}, {"authorization": r"Token token=\S+", "accept": r"application/vnd\.pagerduty\+json;version=2"}, {
    "authorization": r"OAuth \S+"
}
FROM = {**REST, "from": r"\S+@\S+"}
JSON = {"content-type": r"application/json.*"}
LISTED = {"incident_key", "sort_by", "limit", "date_range"}

# Method, path, headers, names that the query may have, schema of the body.
ROUTES = [
    ("POST", r"/v2/enqueue", {**EVENTS, **JSON}, set(), EVENT),
    ("GET", r"/incidents", REST, LISTED, None),
    ("POST", r"/incidents/\w+/notes", {**FROM, **JSON}, set(), NOTE),
    ("GET", r"/v1/pages/\w+/components", PAGE, {"page", "per_page"}, None),
    ("GET", r"/v1/pages/\w+/incidents/unresolved", PAGE, {"page", "per_page"}, None),
    ("POST", r"/v1/pages/\w+/incidents", {**PAGE, **JSON}, set(), incident(["name"])),
    ("PATCH", r"/v1/pages/\w+/incidents/\w+", {**PAGE, **JSON}, set(), incident([])),
]

seen = set()
requests = json.loads(os.environ["REQUESTS"])
for request in requests:
    method, path = request["method"], request["path"]
    found = [route for route in ROUTES if route[0] == method and re.fullmatch(route[1], path)]
    assert len(found) == 1, f"nothing that is documented: {method} {path}"
    _, pattern, headers, names, schema = found[0]
    for name, value in headers.items():
        assert re.fullmatch(value, request["headers"].get(name, "")), f"{method} {path}: the header {name}"
    asked = {name for name, _ in urllib.parse.parse_qsl(request["query"], keep_blank_values=True)}
    assert asked <= names, f"{method} {path}: the query {asked - names}"
    if schema is not None:
        jsonschema.validate(request["body"], schema)
    seen.add((method, pattern))

missing = {(method, pattern) for method, pattern, *_ in ROUTES} - seen
assert not missing, f"never sent: {missing}"
print(f"{len(requests)} requests are as documented")
