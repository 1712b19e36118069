"""The servers that are measured: how each is installed, configured, started and stopped.

python -m bench.peers.install           install what is missing
python -m bench.peers.check             start each once and try what it can do
"""

from __future__ import annotations

from bench.peers.activemq import ActiveMQ, ActiveMQDurable
from bench.peers.apollo import Apollo
from bench.peers.artemis import Artemis, ArtemisDurable
from bench.peers.coilmq import CoilMQ
from bench.peers.gostomp import GoStomp
from bench.peers.launch import SERVER_CORE, PeerFailed, on_core
from bench.peers.nats import JetStream, NatsServer
from bench.peers.own import Broker, Disk, Relay
from bench.peers.peer import ROOT, Peer, Server
from bench.peers.rabbitmq import RabbitMQ

__all__ = [
    "ACTIVEMQ",
    "ACTIVEMQ_DURABLE",
    "APOLLO",
    "ARTEMIS",
    "ARTEMIS_DURABLE",
    "BEFORE",
    "BROKER",
    "COILMQ",
    "DISK",
    "EVERY",
    "GOSTOMP",
    "JETSTREAM",
    "NATS",
    "OWN",
    "PEERS",
    "RABBITMQ",
    "RABBITMQ_QUORUM",
    "RABBITMQ_TLS",
    "RABBITMQ_WS",
    "RELAY",
    "ROOT",
    "SERVER_CORE",
    "TLS",
    "UNIX",
    "WS",
    "WSS",
    "Peer",
    "PeerFailed",
    "Server",
    "named",
    "on_core",
]

BROKER: Peer = Broker()
RELAY: Peer = Relay()
NATS: Peer = NatsServer()
RABBITMQ: Peer = RabbitMQ()
ACTIVEMQ: Peer = ActiveMQ()
ARTEMIS: Peer = Artemis()
APOLLO: Peer = Apollo()
COILMQ: Peer = CoilMQ()
GOSTOMP: Peer = GoStomp()
PEERS = (BROKER, RELAY, NATS, RABBITMQ, ACTIVEMQ, ARTEMIS, APOLLO, COILMQ, GOSTOMP)

# The same over something else than TCP.
UNIX, WS, TLS, WSS = OWN = (Broker("unix"), Broker("ws"), Broker("tls"), Broker("wss"))
# And those of an earlier tree, for whoever asks for them by name.
BEFORE = (
    Broker(before=True),
    Broker("unix", before=True),
    Broker("ws", before=True),
    Broker("tls", before=True),
    Broker("wss", before=True),
)
RABBITMQ_WS, RABBITMQ_TLS = RabbitMQ("ws"), RabbitMQ("tls")
# What keeps messages on disk, and others leave out or have in another way; and the limit of the disk.
RABBITMQ_QUORUM: Peer = RabbitMQ(quorum=True)
ACTIVEMQ_DURABLE: Peer = ActiveMQDurable()
ARTEMIS_DURABLE: Peer = ArtemisDurable()
JETSTREAM: Peer = JetStream()
DISK: Peer = Disk()
_WITH = {
    BROKER: (*OWN, *BEFORE),
    RELAY: (DISK,),
    NATS: (JETSTREAM,),
    RABBITMQ: (RABBITMQ_WS, RABBITMQ_TLS, RABBITMQ_QUORUM),
    ACTIVEMQ: (ACTIVEMQ_DURABLE,),
    ARTEMIS: (ARTEMIS_DURABLE,),
}
EVERY = tuple(each for peer in PEERS for each in (peer, *_WITH.get(peer, ())))


def named(name: str) -> Peer:
    """The peer of that name."""
    for peer in EVERY:
        if peer.name == name:
            return peer
    raise KeyError(f"there is no peer {name!r}; there are {', '.join(peer.name for peer in EVERY)}")
