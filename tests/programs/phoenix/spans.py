"""What Phoenix has of a project, asked through its own REST interface: one JSON line a span.

usage: spans.py URL PROJECT

Times are nanoseconds since 1970. A project that no span came for yet has no line. Phoenix keeps
neither resources (apart from the project's name) nor OpenTelemetry's span kinds.
"""

import datetime
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

PAGE = 1000
STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}
EPOCH = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)


def nanoseconds(text):
    since = datetime.datetime.fromisoformat(text) - EPOCH
    return (since // datetime.timedelta(microseconds=1)) * 1000


def pages(url, project):
    address = f"{url}/v1/projects/{urllib.parse.quote(project)}/spans"
    cursor = None
    while True:
        query = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
        with urllib.request.urlopen(f"{address}?{urllib.parse.urlencode(query)}") as answer:
            page = json.load(answer)
        yield page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            return


def main(url, project):
    try:
        for span in (span for page in pages(url, project) for span in page):
            line = {
                "trace_id": span["context"]["trace_id"],
                "span_id": span["context"]["span_id"],
                "parent_span_id": span["parent_id"] or "",
                "name": span["name"],
                "start": nanoseconds(span["start_time"]),
                "end": nanoseconds(span["end_time"]),
                "status": STATUS[span["status_code"]],
                "status_message": span["status_message"],
                "attributes": span["attributes"],
            }
            print(json.dumps(line))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
