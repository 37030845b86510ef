"""Produce with the PyPI client until killed; print ACK offset value."""
import sys

from fluvio import Fluvio

topic, number = sys.argv[1], int(sys.argv[2])
producer = Fluvio.connect().topic_producer(topic)
count = 0
while True:
    batch = []
    for _ in range(20):
        value = f"{number}-{count}"
        batch.append((value, producer.send(b"", value.encode())))
        count += 1
    producer.flush()
    for value, handle in batch:
        print("ACK", handle.wait().offset(), value, flush=True)
