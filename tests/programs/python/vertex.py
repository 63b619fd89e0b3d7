"""Messages of Vertex AI's PredictionService (google.cloud.aiplatform.v1), as far as the tests need them.

Encoded by hand after https://protobuf.dev/programming-guides/encoding: gRPC's generic stubs take bytes.
"""

SERVICE = "google.cloud.aiplatform.v1.PredictionService"
STOP = 1  # Candidate.FinishReason


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message that are numbers or bytes; the last of each number."""
    at, found = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        value = number()
        if key & 7 == 2:
            at, value = at + value, message[at : at + value]
        found[key >> 3] = value
    return found


def content(role, text):
    return field(1, role) + field(2, field(1, text))


def request(model, text):
    return field(2, content("user", text)) + field(5, model)


def response(response_id, model, text, usage=None, finish=None):
    candidate = field(2, content("model", text))
    if finish:
        candidate += field(3, finish)
    message = field(2, candidate)
    if usage:
        message += field(4, field(1, usage[0]) + field(2, usage[1]) + field(3, sum(usage)))
    return message + field(11, model) + field(13, response_id)
