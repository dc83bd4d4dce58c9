"""Sealing: what the database holds of a secret opens with our key, at its place, unchanged."""

import base64
import hashlib
import hmac
import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from store.errors import Invalid
from store.keyring import Keyring, MasterKey
from store.sealing import is_current, key_id_of, reseal, seal, unseal
from tests.canary import all_that_shows

CANARY = "canary-7Q"
PLACE = "broker_connections/7/tradier/live/token"
FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))
FIRST_ID = "e8384dbf"  # By openssl: HKDF with info trade-history/key-id/v1, then SHA-256.
OLD, NEW = MasterKey(FIRST), MasterKey(SECOND)
KEYRING = Keyring([OLD])
ROTATED = Keyring([NEW, OLD])

# Made by `sealed_by_hand` with the nonce 00 01 ... 0b; what was sealed once opens for ever.
A_TOKEN = "v1.e8384dbf.AAECAwQFBgcICQoLn912Y4JylYLngyUOKxEcqhYA34GygHA"


def hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    """RFC 5869 for up to one block of output more than asked, without salt."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    first = hmac.digest(extracted, info + b"\x01", "sha256")
    return (first + hmac.digest(extracted, first + info + b"\x02", "sha256"))[:length]


def sealed_by_hand(text: bytes, nonce: bytes = bytes(range(12))) -> str:
    """The envelope of a secret for PLACE, built from its description."""
    cipher = Cipher(algorithms.AES(hkdf(FIRST, b"trade-history/sealed/v1")), modes.GCM(nonce))
    encryptor = cipher.encryptor()
    bound = b"\0\0\0\x02v1" + b"\0\0\0\x08e8384dbf" + b"\0\0\0\x27" + PLACE.encode()
    encryptor.authenticate_additional_data(bound)
    body = nonce + encryptor.update(text) + encryptor.finalize() + encryptor.tag
    return f"v1.{FIRST_ID}.{base64.urlsafe_b64encode(body).decode().rstrip('=')}"


def refusal(sealed: str, *, keyring: Keyring = KEYRING, place: str = PLACE) -> str:
    with pytest.raises(Invalid) as refused:
        unseal(keyring, sealed, place=place)
    return str(refused.value)


# --- What is written


def test_the_derivation_by_hand_is_that_of_rfc_5869() -> None:
    """Its test case 3: SHA-256, no salt, no info, 42 bytes."""
    assert hkdf(b"\x0b" * 22, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_a_key_is_named_by_what_says_nothing_of_it() -> None:
    derived = hkdf(FIRST, b"trade-history/key-id/v1")

    assert OLD.id == FIRST_ID == hashlib.sha256(derived).hexdigest()[:8]


@pytest.mark.parametrize("sealed", [A_TOKEN, sealed_by_hand(b"a token")])
def test_what_was_built_by_hand_opens(sealed: str) -> None:
    assert unseal(KEYRING, sealed, place=PLACE).get_secret_value() == "a token"


def test_what_is_sealed_is_what_would_be_built_by_hand() -> None:
    sealed = seal(KEYRING, "a token", place=PLACE)

    nonce = base64.urlsafe_b64decode(sealed.split(".")[2] + "=")[:12]
    assert sealed == sealed_by_hand(b"a token", nonce)


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert len({seal(KEYRING, "a token", place=PLACE) for _ in range(100)}) == 100


# --- What comes back


@given(st.text(min_size=1), st.text())
def test_any_text_comes_back_at_its_place(secret: str, place: str) -> None:
    sealed = seal(KEYRING, secret, place=place)

    assert re.fullmatch(r"v1\.e8384dbf\.[A-Za-z0-9_-]+", sealed)
    assert unseal(KEYRING, sealed, place=place).get_secret_value() == secret


@pytest.mark.parametrize("secret", ["x", "x" * 8192, "é" * 4096])
def test_one_byte_to_8_kib_can_be_sealed(secret: str) -> None:
    assert unseal(KEYRING, seal(KEYRING, secret, place=PLACE), place=PLACE).get_secret_value() == (
        secret
    )


@pytest.mark.parametrize("secret", ["", "x" * 8193, "é" * 4097])
def test_nothing_and_more_than_8_kib_is_refused(secret: str) -> None:
    size = len(secret.encode())

    with pytest.raises(Invalid, match=f"of {size} bytes cannot be sealed; 1 to 8192 are accepted"):
        seal(KEYRING, secret, place=PLACE)


# --- What does not open


@pytest.mark.parametrize("bit", range(8))
def test_with_one_bit_changed_it_does_not_open(bit: int) -> None:
    for position, character in enumerate(A_TOKEN):
        changed = A_TOKEN[:position] + chr(ord(character) ^ 1 << bit) + A_TOKEN[position + 1 :]

        assert re.search("malformed|does not open|which this process does not", refusal(changed))


@pytest.mark.parametrize(
    "place",
    [
        "broker_connections/8/tradier/live/token",
        "broker_connections/7/ibkr/live/token",
        "broker_connections/7/tradier/sandbox/token",
        "broker_connections/7/tradier/live/refresh_token",
        "",
    ],
)
def test_moved_to_another_user_broker_or_field_it_does_not_open(place: str) -> None:
    assert refusal(A_TOKEN, place=place) == (
        "A sealed secret does not open: it was changed, or belongs to another place."
    )


def test_a_place_is_not_cut_out_of_the_parts_beside_it() -> None:
    """Were the parts only joined, "7/1" + "2" and "7/12" + "" could stand for each other."""
    sealed = seal(KEYRING, "a token", place="/place")

    for place in ("place", f"{FIRST_ID}/place", "/place\0", "\0\0\0\x06/place"):
        assert "does not open" in refusal(sealed, place=place)


def test_two_sealed_secrets_make_no_third() -> None:
    one, other = (seal(KEYRING, secret, place=PLACE) for secret in ("a token", "b token"))

    assert "does not open" in refusal(one[:-20] + other[-20:])


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    assert refusal(A_TOKEN, keyring=Keyring([NEW])) == (
        "A secret is sealed with key e8384dbf, which this process does not have; "
        f"known are {NEW.id}."
    )


def test_a_key_that_claims_anothers_id_does_not_open() -> None:
    renamed = A_TOKEN.replace(FIRST_ID, NEW.id)

    assert "does not open" in refusal(renamed, keyring=Keyring([NEW]))
    assert "does not open" in refusal(renamed, keyring=ROTATED)


@pytest.mark.parametrize(
    "sealed",
    [
        "",
        "a token",
        "v1.e8384dbf.",
        "v2" + A_TOKEN[2:],
        A_TOKEN + "\n",
        A_TOKEN + "=",
        A_TOKEN + ".x",
        A_TOKEN.replace("e8384dbf", "E8384DBF"),
        A_TOKEN[:48],  # Nonce and tag would fit, a secret would not.
        A_TOKEN[:-1] + "B",  # The bits to spare in the last digit are not all zero.
        sealed_by_hand(b"x" * 8193),
    ],
)
def test_what_sealing_does_not_write_is_malformed(sealed: str) -> None:
    assert refusal(sealed) == "A sealed secret is malformed; v1.<key id>.<base64url> is accepted."
    with pytest.raises(Invalid, match="malformed"):
        key_id_of(sealed)


# --- Rotation


def test_the_first_key_seals_and_all_open() -> None:
    assert key_id_of(seal(ROTATED, "a token", place=PLACE)) == NEW.id
    assert unseal(ROTATED, A_TOKEN, place=PLACE).get_secret_value() == "a token"
    assert (key_id_of(A_TOKEN), is_current(ROTATED, A_TOKEN)) == (FIRST_ID, False)


def test_resealed_it_needs_the_old_key_no_more() -> None:
    again = reseal(ROTATED, A_TOKEN, place=PLACE)

    assert is_current(ROTATED, again)
    assert unseal(Keyring([NEW]), again, place=PLACE).get_secret_value() == "a token"


def test_what_belongs_to_another_place_is_not_resealed_for_this_one() -> None:
    with pytest.raises(Invalid, match="belongs to another place"):
        reseal(ROTATED, A_TOKEN, place="broker_connections/8/tradier/live/token")


# --- Silence


@pytest.mark.parametrize("secret", [CANARY * 1000, CANARY + "\ud800"])
def test_a_secret_that_cannot_be_sealed_is_in_no_message_or_traceback(secret: str) -> None:
    with pytest.raises(Invalid) as refused:
        seal(KEYRING, secret, place=PLACE)

    assert CANARY not in all_that_shows(refused.value)
    assert refused.value.__context__ is None


def test_a_bug_in_the_place_shows_no_secret() -> None:
    with pytest.raises(UnicodeEncodeError) as failed:
        seal(KEYRING, CANARY, place="\ud800")

    assert CANARY not in all_that_shows(failed.value)


@pytest.mark.parametrize(
    ("sealed", "place"),
    [
        (sealed_by_hand(CANARY.encode()), "elsewhere"),
        (sealed_by_hand(CANARY.encode() + b"\xff"), PLACE),  # Sealed by somebody else's program.
        (sealed_by_hand(CANARY.encode())[:-1], PLACE),
    ],
)
def test_what_does_not_open_is_in_no_message_or_traceback(sealed: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        unseal(KEYRING, sealed, place=place)

    assert CANARY not in all_that_shows(refused.value)
    assert sealed[12:] not in f"{refused.value!r}"
    assert refused.value.__context__ is None


def test_an_opened_secret_shows_only_when_it_is_asked_to() -> None:
    opened = unseal(KEYRING, seal(KEYRING, CANARY, place=PLACE), place=PLACE)

    assert CANARY not in f"{opened} {opened!r}"
