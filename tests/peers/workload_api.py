"""A double of a SPIFFE Workload API: gRPC on a Unix socket, by the service that the package `spiffe` has generated.

It does what SPIFFE_Workload_API.md and SPIFFE_Workload_Endpoint.md say of FetchJWTSVID: it demands the metadata
`workload.spiffe.io: true`, and gives one SVID for the audiences asked for, or PermissionDenied to who has no identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from spiffe._proto import workload_pb2, workload_pb2_grpc


class WorkloadApiDouble(workload_pb2_grpc.SpiffeWorkloadAPIServicer):  # type: ignore[misc, unused-ignore]
    """`sign` makes a token of a SPIFFE ID and audiences; None for `identity` is a workload that nobody registered."""

    def __init__(self, sign: Callable[[str, list[str]], str], identity: str | None) -> None:
        self._sign = sign
        self._identity = identity
        self.audiences: list[list[str]] = []

    def FetchJWTSVID(self, request: Any, context: Any) -> Any:
        if ("workload.spiffe.io", "true") not in [tuple(each) for each in context.invocation_metadata()]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
        if self._identity is None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no identity issued")
        self.audiences.append(list(request.audience))
        identity = str(self._identity)
        svid = self._sign(identity, list(request.audience))
        return workload_pb2.JWTSVIDResponse(svids=[workload_pb2.JWTSVID(spiffe_id=identity, svid=svid)])

    @contextmanager
    def running(self, socket: Path) -> Iterator[str]:
        """The value of SPIFFE_ENDPOINT_SOCKET."""
        server = grpc.server(ThreadPoolExecutor(2))
        add: Any = workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server
        add(self, server)
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        try:
            yield f"unix://{socket}"
        finally:
            server.stop(None).wait()
