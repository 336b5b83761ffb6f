"""The split `hash: 1` once more, in Python, from its description alone, and the golden vectors made by it.

    python3 routing/golden/split.py          compares routing/golden/split.json with what it computes
    python3 routing/golden/split.py --write  writes the file anew (only for added cases: old ones may never change)
"""

import json
import math
import pathlib
import sys

MASK = (1 << 64) - 1
FILE = pathlib.Path(__file__).with_name("split.json")


def fnv1a64(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def fmix64(h):
    h ^= h >> 33
    h = h * 0xFF51AFD7ED558CCD & MASK
    h ^= h >> 33
    h = h * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ (h >> 33)


def draw(h):
    x = h | 1
    z = 64 - x.bit_length()
    m = (x << z & MASK) >> 32
    f = 0
    for _ in range(32):
        m = m * m >> 31
        b = m >> 32
        f = 2 * f + b
        m >>= b
    e = (z + 1 << 32) - f
    # It is -log2 of x / 2^64, whose upper 32 significant bits count: the float agrees to its own precision.
    assert abs(e / 2**32 - (64 - math.log2(x))) < 2**-20, x
    return e


def choose(salt, variants, key):
    best = None
    for name, weight in sorted(variants.items()):
        if weight == 0:
            continue
        e = draw(fmix64(fnv1a64(salt + b"\0" + name.encode() + b"\0" + key)))
        if best is None or e * best[2] < best[1] * weight:
            best = (name, e, weight)
    return best and best[0]


def bucket(salt, purpose, key, buckets):
    return fmix64(fnv1a64(salt + b"\0\0" + purpose.encode() + b"\0" + key)) * buckets >> 64


def list_hash(key):
    return format(fmix64(fnv1a64(b"\0\0list\0" + key)), "016x")


SPLITS = [
    {"stable": 95, "canary": 5},
    {"stable": 9999, "canary": 1},
    {"a": 1, "b": 1},
    {"a": 1, "b": 1, "c": 1, "d": 0},
    {"v1": 1 << 20, "v2": 1 << 20, "v3": 1},
    {"only": 7},
    {"none": 0},
    {f"v{i:02}": i + 1 for i in range(32)},
]


def keys():
    yield from (b"", b"a", b"Z", b"0", b"\xff", b"\x00", "żółw".encode(), b"x" * 1024)
    yield from (str(i).encode() for i in range(40))
    yield from (f"user{i}@example.com".encode() for i in range(40))
    yield from (f"10.{i}.{i * 7 % 256}.{i * 31 % 256}".encode() for i in range(40))
    yield from (f"{fmix64(i):016x}{fmix64(i + 99):016x}".encode() for i in range(40))


def vectors():
    cases = []
    for s, salt in enumerate(["shop", "shop-2026-11", "s"]):
        for v, variants in enumerate(SPLITS):
            for k, key in enumerate(keys()):
                if (s + v + k) % 3 == 0:
                    cases.append({"salt": salt, "variants": variants, "key": key.hex(), "gets": choose(salt.encode(), variants, key)})
    buckets = [
        {"salt": salt, "purpose": purpose, "buckets": n, "key": key.hex(), "gets": bucket(salt.encode(), purpose, key, n)}
        for salt in ("shop", "s")
        for purpose, n in (("mirror", 10000), ("replicate", 32))
        for key in list(keys())[::4]
    ]
    samples = [0, 1, 2, 3, MASK, 1 << 63, (1 << 63) - 1, *(fmix64(i) for i in range(1, 60)), *(fmix64(i) >> i for i in range(1, 60))]
    return {
        "hash": 1,
        "splits": cases,
        "buckets": buckets,
        "lists": [{"key": key.hex(), "hash": list_hash(key)} for key in list(keys())[::5]],
        # As text: JSON numbers beyond 2^53 do not survive every reader.
        "draws": [{"hash": f"{h:016x}", "draw": draw(h)} for h in samples],
    }


def main():
    made = vectors()
    if "--write" in sys.argv:
        kinds = ",\n".join(
            f'"{name}": ' + (str(rows) if isinstance(rows, int) else "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")
            for name, rows in made.items()
        )
        FILE.write_text("{\n" + kinds + "\n}\n")
    kept = json.loads(FILE.read_text())
    differ = [name for name in made if kept.get(name) != made[name]]
    print(f"{sum(len(v) for v in made.values() if isinstance(v, list))} vectors", "differ: " + ", ".join(differ) if differ else "agree")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
