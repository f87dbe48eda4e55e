"""Key pairs that follow from a sandbox's seed, so that whoever starts one knows beforehand what it will sign with.

They protect nothing: anyone who knows the seed has the private halves too.
"""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from math import gcd
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RSA_EXPONENT: Final = 65537
_PRIME_BITS: Final = 512
"""Short, to be quick: the key protects nothing."""
_SMALL_PRIMES: Final = [n for n in range(3, 4000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


@lru_cache(maxsize=8)
def ecdsa_key(seed: int) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of this seed, which signs SendGrid's events."""
    drawn = int.from_bytes(sha256(f"{seed}|p-256".encode()).digest(), "big")
    return ec.derive_private_key(drawn % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def ecdsa_public_key(seed: int) -> str:
    """Its public half as SendGrid shows it: base64 of the DER."""
    public = ecdsa_key(seed).public_key()
    return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@lru_cache(maxsize=8)
def rsa_key(seed: int) -> rsa.RSAPrivateKey:
    """The RSA key of this seed, which signs for Google's service account. The first time takes a moment."""
    dice = Random(f"{seed}|rsa")
    p, q = _prime(dice), _prime(dice)
    d = pow(_RSA_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_RSA_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public).private_key()


def rsa_private_pem(seed: int) -> str:
    """As it stands in a service account's JSON."""
    return rsa_key(seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _prime(dice: Random) -> int:
    """A prime of these dice with both top bits set, so that a product of two has its full length."""
    while True:
        candidate = dice.getrandbits(_PRIME_BITS) | 1 | 0b11 << (_PRIME_BITS - 2)
        fits = gcd(candidate - 1, _RSA_EXPONENT) == 1 and all(candidate % small for small in _SMALL_PRIMES)
        if fits and _is_probably_prime(candidate, dice):
            return candidate


def _is_probably_prime(candidate: int, dice: Random) -> bool:
    """Miller and Rabin, eight times."""
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        power = pow(dice.randrange(2, candidate - 1), odd, candidate)
        if power in (1, candidate - 1):
            continue
        for _ in range(twos - 1):
            power = pow(power, 2, candidate)
            if power == candidate - 1:
                break
        else:
            return False
    return True
