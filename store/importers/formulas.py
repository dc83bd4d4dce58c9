"""Text that a spreadsheet would run as a formula, and how a CSV file says it harmlessly.

OWASP's list ("CSV Injection"): a field that begins with = + - @, a tab or an end of line. An
apostrophe before it makes it text; reading takes that apostrophe away again, and no other,
so that every text comes back as it was. Only texts are guarded: a number may be negative.
"""

import re

# The full-width forms are read as the plain ones by spreadsheets in Asian locales.
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def guarded(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
