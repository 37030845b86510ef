#!/usr/bin/env python3
"""Publishes numbers, one after the other, and says which the broker took.

    mqtt_pub.py PORT TOPIC QOS

Prints `ACK number number` when the publication is complete (PUBACK, PUBCOMP).
Connects again for as long as it takes; ends at the end of its input, after
the last number was acknowledged.
"""
import os
import select
import sys
import threading

import paho.mqtt.client as mqtt

PORT, TOPIC, QOS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
WINDOW = 20
PACE_S = 0.004  # between two numbers, at least

lock = threading.Lock()
room = threading.Condition(lock)
waiting = {}  # packet identifier -> number
early = set()  # acknowledged before publish() returned


def acknowledged(mid):
    number = waiting.pop(mid)
    sys.stdout.write(f"ACK {number} {number}\n")
    sys.stdout.flush()
    room.notify()


def on_publish(client, userdata, mid, reason, properties):
    with lock:
        if mid in waiting:
            acknowledged(mid)
        else:
            early.add(mid)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"publisher-{QOS}",
                     clean_session=False)
client.on_publish = on_publish
# What paho queues itself it may send out of order: the window is ours.
client.max_inflight_messages_set(10 * WINDOW)
client.max_queued_messages_set(0)
client.reconnect_delay_set(1, 1)
client.connect("127.0.0.1", PORT, keepalive=10)
client.loop_start()
number = 0
while not select.select([sys.stdin], [], [], PACE_S)[0]:
    with lock:
        while len(waiting) >= WINDOW:
            if not room.wait(0.5) and select.select([sys.stdin], [], [], 0)[0]:
                break
        if len(waiting) >= WINDOW:
            continue
    mid = client.publish(TOPIC, str(number), qos=QOS).mid
    with lock:
        waiting[mid] = number
        if mid in early:
            early.remove(mid)
            acknowledged(mid)
    number += 1
with lock:
    while waiting:
        if not room.wait(60):
            sys.exit("the broker acknowledges nothing any more")
client.disconnect()
client.loop_stop()
