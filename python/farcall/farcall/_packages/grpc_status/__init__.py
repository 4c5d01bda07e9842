"""Rich errors: `google.rpc.Status` in trailing metadata. See `grpc_status.rpc_status`."""
