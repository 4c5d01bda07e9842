"""Insight into channels, servers and sockets of this process: `grpc_channelz.v1`."""
