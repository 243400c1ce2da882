"""The complaint number: ten characters of entropy and a check character, to be read over the phone.

Crockford's base 32 has no I, L, O, U. The check character is the weighted sum of the others in GF(32) with the weights g¹⁰ … g²,
g: all different, none zero or one. So a single wrong character, and any two that changed places, are always caught. (Crockford's
own check, modulo 37, needs `*~$=U`, which nobody can say.)
"""

import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENTROPY = 10  # characters of entropy: 2^50 numbers; a double is refused by the unique index and drawn again
POLYNOMIAL = 0b100101  # x⁵ + x² + 1: x generates all 31 elements of GF(32) other than zero
OBSERVED_AS = str.maketrans("OIL", "011")  # what people write for what they read or observe
SEPARATORS = ("P", "Z", "Cf")  # beginnings of the categories of what says nothing: punctuation, spaces, what cannot be seen
MINUS = "\u2212"


class NotANumber(ValueError):
    """No complaint has this number: it was misread, misheard or mistyped."""


DOUBLED = [element << 1 ^ (POLYNOMIAL if element & 16 else 0) for element in range(32)]  # each times g
SHIFTS = [5 * place for place in reversed(range(ENTROPY))]


def _checked(values: list[int]) -> int:
    """Sum of value × g^place, by Horner's rule: the first character has the highest power, the last one g."""
    total = 0
    for value in values:
        total = DOUBLED[total ^ value]
    return total


def number_from(entropy: bytes) -> str:
    """A number of the first 50 bits of `entropy` (at least 7 bytes), as it is written and said: `7K3M-9QX2-V0T`."""
    bits = int.from_bytes(entropy[:7], "big") >> 6
    values = [bits >> shift & 31 for shift in SHIFTS]
    return _written([*values, _checked(values)])


def parse_number(said: str) -> str:
    """The number as written, from what somebody typed: small letters, full width, spaces, dashes, a full stop behind, and O, I, L
    for 0 and 1. Raises NotANumber."""
    wide = unicodedata.normalize("NFKC", said)
    kept = [each for each in wide if each != MINUS and not unicodedata.category(each).startswith(SEPARATORS)]
    plain = "".join(kept).upper().translate(OBSERVED_AS)
    if len(plain) != ENTROPY + 1 or any(character not in ALPHABET for character in plain):
        raise NotANumber(f"A complaint number has {ENTROPY + 1} letters and digits, none of them U.")
    values = [ALPHABET.index(character) for character in plain]
    if _checked(values[:-1]) != values[-1]:
        raise NotANumber("This is not a complaint number: a character is wrong, or two are swapped.")
    return _written(values)


def _written(values: list[int]) -> str:
    plain = "".join([ALPHABET[value] for value in values])
    return f"{plain[:4]}-{plain[4:8]}-{plain[8:]}"
