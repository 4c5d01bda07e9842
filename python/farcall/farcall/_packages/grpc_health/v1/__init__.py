"""The health service `grpc.health.v1.Health`: the module `health`, and the generated ones."""
