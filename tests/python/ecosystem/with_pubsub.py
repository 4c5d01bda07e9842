"""google-cloud-pubsub publishes to a local server and pulls over a stream that the server ends again and again."""

import os
import threading
from concurrent import futures

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

MESSAGES = 300
# The server ends each stream after so many messages, as the real one does every half hour.
EACH_STREAM = 50
TOPIC, SUBSCRIPTION = "projects/p/topics/t", "projects/p/subscriptions/s"

published, streams, acknowledged = [], [], set()
all_acknowledged = threading.Event()
lock = threading.Lock()


def publish(request, context):
    with lock:
        ids = [str(len(published) + at) for at in range(len(request.messages))]
        published.extend(message.data for message in request.messages)
    return types.PublishResponse(message_ids=ids)


def take(ids):
    acknowledged.update(ids)
    if len(acknowledged) >= MESSAGES:
        all_acknowledged.set()


def read_acknowledgements(requests):
    try:
        for request in requests:
            take(request.ack_ids)
    except grpc.RpcError:
        pass


def streaming_pull(requests, context):
    next(requests)
    with lock:
        begin = len(streams) * EACH_STREAM
        streams.append(begin)
    threading.Thread(target=read_acknowledgements, args=(requests,), daemon=True).start()
    for at in range(begin, min(begin + EACH_STREAM, MESSAGES)):
        message = {"data": published[at], "message_id": str(at)}
        yield types.StreamingPullResponse(received_messages=[{"ack_id": str(at), "message": message}])
    if begin >= MESSAGES:
        all_acknowledged.wait(20)
    context.abort(grpc.StatusCode.UNAVAILABLE, "the stream is over; open another")


def acknowledge(request, context):
    take(request.ack_ids)
    return Empty()


server = grpc.server(futures.ThreadPoolExecutor(8))
publisher_handlers = {
    "Publish": grpc.unary_unary_rpc_method_handler(
        publish, types.PublishRequest.deserialize, types.PublishResponse.serialize
    )
}
subscriber_handlers = {
    "StreamingPull": grpc.stream_stream_rpc_method_handler(
        streaming_pull, types.StreamingPullRequest.deserialize, types.StreamingPullResponse.serialize
    ),
    "Acknowledge": grpc.unary_unary_rpc_method_handler(
        acknowledge, types.AcknowledgeRequest.deserialize, Empty.SerializeToString
    ),
    "ModifyAckDeadline": grpc.unary_unary_rpc_method_handler(
        lambda request, context: Empty(), types.ModifyAckDeadlineRequest.deserialize, Empty.SerializeToString
    ),
}
server.add_generic_rpc_handlers(
    (
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher_handlers),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber_handlers),
    )
)
port = server.add_insecure_port("localhost:0")
server.start()
os.environ["PUBSUB_EMULATOR_HOST"] = f"localhost:{port}"

from google.cloud import pubsub_v1  # noqa: E402  (it reads the environment)

publisher = pubsub_v1.PublisherClient()
ids = [publisher.publish(TOPIC, b"%d" % number) for number in range(MESSAGES)]
assert len({future.result(timeout=30) for future in ids}) == MESSAGES
assert sorted(published, key=int) == [b"%d" % number for number in range(MESSAGES)]

received = []


def on_message(message):
    received.append(message.data)
    message.ack()


subscriber = pubsub_v1.SubscriberClient()
pull = subscriber.subscribe(SUBSCRIPTION, on_message)
assert all_acknowledged.wait(50), (
    f"{len(acknowledged)} acknowledged of {len(received)} received, {len(streams)} streams"
)
pull.cancel()
pull.result(timeout=20)
assert sorted(received, key=int) == sorted(published, key=int), len(received)
assert len(streams) >= MESSAGES // EACH_STREAM, streams
subscriber.close()
publisher.stop()
server.stop(None)
print("done")
