"""An OTLP receiver that is not ours: OpenTelemetry's generated Protobuf, grpcio, http.server.

usage: receiver.py grpc|http PORT LOG MODE      (prints its port; PORT 0: a free one)

Each request becomes one JSON line in LOG: its signal (traces, metrics or logs), its headers, and the
message in Protobuf's own JSON form.
MODE: ok; slow (a second a request); refuse (an error that must not be repeated); busy (one that may).
"""

import concurrent.futures
import gzip
import http.server
import json
import os
import signal
import sys
import threading
import time

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

SLOW_SECONDS = 1.0

# Request and response of each signal.
MESSAGES = {
    "traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
    "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    "logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
}


class Log:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, protocol, signal, headers, request):
        line = {
            "protocol": protocol,
            "signal": signal,
            "headers": {name.lower(): value for name, value in headers},
            "request": MessageToDict(request, use_integers_for_enums=True),
        }
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


class GrpcReceiver:
    """What the services of all signals have in common."""

    signal = None

    def __init__(self, log, mode):
        self.log = log
        self.mode = mode

    def Export(self, request, context):
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        if self.mode == "refuse":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "told to refuse")
        if self.mode == "busy":
            context.abort(grpc.StatusCode.UNAVAILABLE, "told to be busy")
        headers = [(key, value) for key, value in context.invocation_metadata() if "-bin" not in key]
        self.log.write("grpc", self.signal, headers, request)
        return MESSAGES[self.signal][1]()


class Traces(GrpcReceiver, traces_grpc.TraceServiceServicer):
    signal = "traces"


class Metrics(GrpcReceiver, metrics_grpc.MetricsServiceServicer):
    signal = "metrics"


class Logs(GrpcReceiver, logs_grpc.LogsServiceServicer):
    signal = "logs"


def serve_grpc(port, log, mode):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    traces_grpc.add_TraceServiceServicer_to_server(Traces(log, mode), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(log, mode), server)
    logs_grpc.add_LogsServiceServicer_to_server(Logs(log, mode), server)
    print(server.add_insecure_port(f"127.0.0.1:{port}"), flush=True)
    server.start()
    server.wait_for_termination()


class HttpReceiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = None
    mode = "ok"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = {"refuse": 400, "busy": 503}.get(self.mode, 200)
        signal = self.path.removeprefix("/v1/")
        request, response = MESSAGES.get(signal, (None, traces.ExportTraceServiceResponse))
        if request is None:
            status = 404
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        if status == 200:
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.log.write("http", signal, self.headers.items(), request.FromString(body))
        answer = response().SerializeToString()
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def serve_http(port, log, mode):
    HttpReceiver.log = log
    HttpReceiver.mode = mode
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), HttpReceiver)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def outlive_interrupt():
    """Ctrl-C is for the traced programs: what they still send must arrive. Ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    outlive_interrupt()
    serve = {"grpc": serve_grpc, "http": serve_http}[sys.argv[1]]
    serve(int(sys.argv[2]), Log(sys.argv[3]), sys.argv[4])
