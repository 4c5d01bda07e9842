"""The API of gRPC's beta, for programs written then. Write new ones against `grpc`."""
