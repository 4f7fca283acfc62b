"""A gRPC server with grpc.health.v1.Health/Check, written by hand in bytes.

Arguments: the address to listen at, and, for TLS, the files of key and
certificate. A service's name says what is answered for it.
"""

import sys
from concurrent import futures

import grpc

STATUSES = {"": 1, "web": 1, "draining": 2, "starting": 0, "odd": 9}
ABORTS = {"locked": grpc.StatusCode.UNAUTHENTICATED, "broken": grpc.StatusCode.INTERNAL}


def check(request, context):
    service = request[2:].decode()
    if service in ABORTS:
        context.abort(ABORTS[service], f"{service} \x1b[2J")
    if service == "large":
        return bytes(100_000)
    if service == "nonsense":
        return b"\xff\xff\xff"
    if service == "more":
        # Fields of a later version: a number, a text, eight and four bytes.
        return b"\x10\x96\x01\x1a\x02hi\x21" + bytes(8) + b"\x2d" + bytes(4) + b"\x08\x01"
    if service not in STATUSES:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    # The first status is the default, which is not sent.
    status = STATUSES[service]
    return bytes([8, status]) if status else b""


class Health(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(check)
        return None


class Nothing(grpc.GenericRpcHandler):
    def service(self, details):
        return None


def main(address, health, key=None, certificate=None):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Health() if health == "health" else Nothing(),))
    if key is None:
        server.add_insecure_port(address)
    else:
        with open(key, "rb") as k, open(certificate, "rb") as c:
            credentials = grpc.ssl_server_credentials([(k.read(), c.read())])
        server.add_secure_port(address, credentials)
    server.start()
    print("listening", flush=True)
    server.wait_for_termination()


main(*sys.argv[1:])
