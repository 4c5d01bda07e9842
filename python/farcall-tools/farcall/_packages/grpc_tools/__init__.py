"""The protobuf compiler: `grpc_tools.protoc` runs it, `grpc_tools.command` runs it from setuptools."""
