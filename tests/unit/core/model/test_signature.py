"""Signatures of the model: only content of this installation, for its own purpose, is read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, strategies as st

from stream_app.config.processes import Model
from stream_app.core.model.signature import MAGIC, sign, verify
from stream_app.errors import BadConfig, UnusableSnapshot

OLD, NEW, OTHER = b"o" * 43, b"n" * 43, b"x" * 43
CONTEXT: Final = "churn version 3"
CONTENT: Final = b"any bytes, which nobody parses before"
SIGNED: Final = sign(CONTENT, CONTEXT, (OLD,))


def refusal(signed: bytes, context: str = CONTEXT, keys: tuple[bytes, ...] = (OLD,)) -> str:
    with pytest.raises(UnusableSnapshot) as refused:
        verify(signed, context, keys, "of version 3")
    return str(refused.value)


def test_signed_content_is_verified_and_unchanged() -> None:
    assert verify(SIGNED, CONTEXT, (OLD,), "here") == CONTENT
    assert verify(sign(b"", CONTEXT, (OLD,)), CONTEXT, (OLD,), "here") == b""


def test_while_a_key_is_replaced_both_verify_and_the_first_signs() -> None:
    signed = sign(CONTENT, CONTEXT, (NEW, OLD))
    assert verify(signed, CONTEXT, (NEW,), "here") == CONTENT
    assert verify(SIGNED, CONTEXT, (NEW, OLD), "here") == CONTENT
    assert "signed with another key" in refusal(signed, keys=(OLD,))
    assert "signed with another key" in refusal(SIGNED, keys=(NEW,))


@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_no_bit_can_be_changed(place: int) -> None:
    changed = bytearray(SIGNED)
    changed[place // 8] ^= 1 << place % 8
    refusal(bytes(changed))


@given(st.integers(0, len(SIGNED) - 1))
def test_no_byte_can_be_missing(length: int) -> None:
    refusal(SIGNED[:length])


def test_nothing_can_be_added() -> None:
    refusal(SIGNED + b"\0")
    refusal(SIGNED[: len(MAGIC) + 32] + b"\0" + CONTENT)


@pytest.mark.parametrize("context", ["other version 3", "churn version 30", "churn checkpoint 3", "churn version ", ""])
def test_a_signature_is_bound_to_its_context(context: str) -> None:
    assert "written for another installation" in refusal(SIGNED, context)


def test_content_cannot_be_moved_into_the_context() -> None:
    signed = sign(b"3 rest", "churn version ", (OLD,))
    refusal(signed[: len(MAGIC) + 32] + b" rest", "churn version 3")


@pytest.mark.parametrize("signed", [b"", b"churnmdl" + bytes(400), b"\x86\xa7through", bytes(8) + SIGNED[8:]])
def test_unsigned_content_is_refused_with_the_remedy(signed: bytes) -> None:
    told = refusal(signed)
    assert "it is not signed" in told
    assert "PREFIX:{model}:*" in told


# --- the key ---------------------------------------------------------------------------------------------------------


def keys(folder: Path, text: str | bytes) -> tuple[bytes, ...]:
    file = folder / "model.key"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return Model(key_file=file).keys()


def test_a_key_file_holds_one_key_or_the_new_one_and_the_old(tmp_path: Path) -> None:
    assert keys(tmp_path, OLD.decode()) == (OLD,)
    assert keys(tmp_path, f"\n{NEW.decode()}\r\n  {OLD.decode()}\n\n") == (NEW, OLD)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "contains 0 keys"),
        ("\n \n", "contains 0 keys"),
        ("\n".join(["k" * 43] * 3), "contains 3 keys"),
        ("k" * 31, "a key shorter than 32 characters"),
        ("k" * 43 + "\nshort", "a key shorter than 32 characters"),
        (b"\xff" * 43, "is not text"),
    ],
)
def test_an_invalid_key_file_is_refused_without_revealing_it(tmp_path: Path, text: str | bytes, problem: str) -> None:
    with pytest.raises(BadConfig) as refused:
        keys(tmp_path, text)
    told = str(refused.value)
    assert problem in told
    assert "stream-app secret model.key" in told
    assert "kkkk" not in told


def test_without_a_key_file_nothing_is_signed_or_verified(tmp_path: Path) -> None:
    for model in (Model(), Model(key_file=tmp_path / "none"), Model(key_file=tmp_path)):
        with pytest.raises(BadConfig, match="STREAM_APP_MODEL__KEY_FILE"):
            model.keys()
