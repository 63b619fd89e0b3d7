"""Makes the calls of a job by a libcurl of the system, through its C interface: a thread a connection.

usage: libcurl.py LIBRARY PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

The system has the same libcurl over several TLS libraries.
"""

import ctypes
import os
import sys

import jobs

# Numbers of curl.h, which never change.
GLOBAL_ALL = 3
WRITEFUNCTION, ERRORBUFFER, URL, CUSTOMREQUEST, HTTPHEADER = 20011, 10010, 10002, 10036, 10023
POSTFIELDS, POSTFIELDSIZE, CAINFO, HTTP_VERSION, NOSIGNAL = 10015, 60, 10065, 84, 99
RESPONSE_CODE = 0x200002
VERSION_1_1, VERSION_2TLS = 2, 4

WRITER = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
)
# Takes whatever comes.
IGNORE = WRITER(lambda _data, size, count, _user: size * count)


class Handle:
    """An easy handle, which keeps its connection."""

    def __init__(self, curl):
        self.curl = curl
        self.handle = ctypes.c_void_p(curl.curl_easy_init())
        self.problem = ctypes.create_string_buffer(256)
        self.set(ERRORBUFFER, self.problem)
        self.set(WRITEFUNCTION, IGNORE)
        self.set(NOSIGNAL, ctypes.c_long(1))
        self.set(CAINFO, os.environb[b"SSL_CERT_FILE"])

    def set(self, option, value):
        if self.curl.curl_easy_setopt(self.handle, option, value):
            raise RuntimeError(f"libcurl does not take option {option}")

    def make(self, call):
        version = VERSION_2TLS if call.is_http2 else VERSION_1_1
        self.set(HTTP_VERSION, ctypes.c_long(version))
        self.set(URL, call.url.encode())
        self.set(CUSTOMREQUEST, call.method.encode())
        # libcurl keeps a pointer to the body.
        self.set(POSTFIELDSIZE, ctypes.c_long(len(call.body)))
        self.set(POSTFIELDS, call.body)
        headers = ctypes.c_void_p()
        for name, value in (call.headers | {"expect": ""}).items():
            line = f"{name}: {value}" if value else f"{name}:"
            headers.value = self.curl.curl_slist_append(headers, line.encode())
        self.set(HTTPHEADER, headers)
        if self.curl.curl_easy_perform(self.handle):
            raise RuntimeError(f"{call.id}: {self.problem.value.decode()}")
        self.curl.curl_slist_free_all(headers)
        status = ctypes.c_long()
        self.curl.curl_easy_getinfo(self.handle, RESPONSE_CODE, ctypes.byref(status))
        call.check(status.value)

    def close(self):
        self.curl.curl_easy_cleanup(self.handle)


def load(name):
    curl = ctypes.CDLL(name)
    curl.curl_easy_init.restype = ctypes.c_void_p
    curl.curl_slist_append.restype = ctypes.c_void_p
    curl.curl_slist_append.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    if curl.curl_global_init(ctypes.c_long(GLOBAL_ALL)):
        raise RuntimeError(f"{name} does not start")
    return curl


def main(name, port, job):
    curl = load(name)

    def make_all(calls):
        handle = Handle(curl)
        for call in calls:
            handle.make(call)
        handle.close()

    jobs.run(int(port), job, make_all)


if __name__ == "__main__":
    main(*sys.argv[1:])
