"""What an SDK's objects say of one call, gathered under names that all SDKs share.

A field that the SDK says to be absent is null; one that the SDK has no word for is not there.
Nothing is taken from the request, or from the bytes that passed.
"""

import json


class Said:
    def __init__(self):
        self.fields = {}
        self.length = None
        self.finishes = False
        self.reasons = {}
        self.calls = {}

    def tell(self, name, value):
        """Of a stream the last chunk that says anything counts."""
        if value is not None or name not in self.fields:
            self.fields[name] = value

    def answer(self, response_id, model):
        self.tell("response_id", response_id)
        self.tell("response_model", model)

    def usage(self, read, **paths):
        """Fields by the path of their number within `read`, a usage object or null."""
        for name, path in paths.items():
            self.tell(name, dig(read, path))

    def text(self, text):
        self.length = (self.length or 0) + len(text or "")

    def finish(self, reason, choice=0):
        self.finishes = True
        if reason is not None:
            self.reasons[choice] = word(reason)

    def tool(self, key, call_id=None, name=None, arguments=None):
        """A call, or a piece of it: pieces with the same key are one call."""
        call = self.calls.setdefault(key, {"id": None, "name": None, "arguments": ""})
        call["id"] = call_id or call["id"]
        call["name"] = name or call["name"]
        if arguments is not None:
            call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def failed(self, status, **words):
        self.fields["failed"] = {"status": status, **words}

    def record(self):
        fields = dict(self.fields)
        if "failed" in fields:
            return fields
        if self.finishes:
            fields["finish_reasons"] = [reason for _, reason in sorted(self.reasons.items())]
        if self.length is not None:
            fields["text_length"] = self.length
            fields["tool_calls"] = list(self.calls.values())
        return fields


def dig(value, path):
    """The attribute (or member) at the end of a path with dots; null where there is none."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def word(reason):
    """As the provider spells it: SDKs make enumerations of some."""
    return getattr(reason, "value", reason)
