"""The service `grpc.channelz.v1.Channelz`: the module `channelz`, and the generated ones."""
