"""Which partition a key belongs to: Kafka's own rule, so that every other producer agrees."""

from functools import lru_cache
from struct import unpack_from

_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` among ``partitions``, as Kafka's default partitioner has it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """MurmurHash2 with Kafka's seed (``org.apache.kafka.common.utils.Utils.murmur2``), as an unsigned word."""
    length = len(key)
    words = length >> 2
    found = _SEED ^ length
    for word in unpack_from(f"<{words}I", key):
        mixed = (word * _MIX) & _WORD
        mixed = ((mixed ^ (mixed >> 24)) * _MIX) & _WORD
        found = ((found * _MIX) & _WORD) ^ mixed
    rest = key[words << 2 :]
    if rest:
        found = ((found ^ int.from_bytes(rest, "little")) * _MIX) & _WORD
    found = ((found ^ (found >> 13)) * _MIX) & _WORD
    return found ^ (found >> 15)
