#!/usr/bin/python3
"""Watches every packet of this network namespace's loopback for a text, until SIGTERM.

capture.py FILE TEXT: writes to FILE, when it listens, the line "ready"; at the end one line for each
pair of ports with "SOURCE DESTINATION PACKETS-WITH-TEXT PAYLOAD-BYTES". Needs root (AF_PACKET).
"""
import signal
import socket
import struct
import sys
from collections import Counter

ETH_P_ALL = 3
PACKET_OUTGOING = 4
IPPROTO_TCP = 6


def tcp_of(frame):
    """(source port, destination port, payload) of a TCP packet over IPv4; None of any other."""
    ip = frame[14:]
    if frame[12:14] != b"\x08\x00" or ip[9] != IPPROTO_TCP:
        return None
    tcp = ip[(ip[0] & 15) * 4:struct.unpack("!H", ip[2:4])[0] or None]
    source, destination = struct.unpack("!HH", tcp[:4])
    return source, destination, tcp[(tcp[12] >> 4) * 4:]


def main():
    path, text = sys.argv[1], sys.argv[2].encode()
    found, size = Counter(), Counter()
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    packets.bind(("lo", 0))
    packets.settimeout(0.2)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    with open(path, "w", encoding="ascii") as out:
        print("ready", file=out, flush=True)
        while True:
            try:
                frame, address = packets.recvfrom(1 << 17)
            except TimeoutError:
                if ended:
                    break
                continue
            tcp = tcp_of(frame)
            # The loopback shows each packet twice, going out and coming in.
            if tcp is None or address[2] != PACKET_OUTGOING:
                continue
            found[tcp[:2]] += text in tcp[2]
            size[tcp[:2]] += len(tcp[2])
        for ports in sorted(size):
            print(*ports, found[ports], size[ports], file=out)


main()
