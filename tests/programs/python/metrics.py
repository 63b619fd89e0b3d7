"""Metrics of an endpoint, read by the parser of the official client library.

usage: metrics.py URL     (prints one JSON object: sample with its labels -> number)

Fails where the text, its type or a name breaks the rules of OpenMetrics.
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics import parser

with urllib.request.urlopen(sys.argv[1], timeout=30) as response:
    kind = response.headers["content-type"]
    if not kind.startswith("application/openmetrics-text; version=1.0.0"):
        sys.exit(f"content type {kind}")
    text = response.read().decode()

samples = {}
for family in parser.text_string_to_metric_families(text):
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
print(json.dumps(samples))
