"""Every rule takes time linear in the text, whatever the text: redaction stands before every write."""

import re
import time
from itertools import product

import pytest
from redaction.test_secret_shapes import HELD

from telemetry_cli.redaction.names import nested, secret_values
from telemetry_cli.redaction.patterns import RULES
from telemetry_cli.redaction.redactor import Redactor

#: Characters of a text. On four times as many, a linear rule takes 4 times as long, a quadratic one 16
#: times. A busy machine distorts processor times, so the bound is between the two.
LENGTH = 30_000
MAX_RATIO = 10
#: So short are the texts by which the slowest are found.
SHORT = 1_500
#: So many of a rule's are tried.
MOST_UNITS = 500
#: Endings and beginnings that make a rule begin again, or fail, at each repetition.
AROUND = ("", " ", ":", "=", "-", ".", "@ ", '"', "\n", "1", "aa://x")
#: What is pumped beside parts of the samples.
PUMPED = (
    *("?auth=", "token:", "password:", "cookie:", "authorization:", "aa://x:", "http://u@", "-mysql", "curl -u ", "curl -uuuuuuuuuuuu", " -a", "a.", "_", "--a."),
    *("token =aaaaaa(", "password: '", "http -a ", ",secret:my-secret", '"value":"a",', "name: token\n", "token: |\n  a\n", "docker login -", "redis-cli ", "://a:b@c://"),
    *("{name: token, ", "{value: a, ", "- value: a\n", "name: token\n a: b\n", "token: &a ", "token: !!a ", "token:\n ", " token:\n  a", "|\n  a\n", "key=\"token\" ", " value=\"a\" ", "<name>token</name> "),
    *('variable "token" { ', "setx token ", "env token ", "token]=", "token: a", "token:aaaa ", 'token="""a', "machine a password ", "<token><![CDATA[", "token: |\n\n", "value: 'a' #", '"value":"a",a', "%a", "$a"),
    *('"token":{"', '"token":[', '"token":["a"],', '"token": {"a": 1}}', '\\"key\\":\\"\\', "<password ", "password\x1b[0m"),
    *("://a:@", "token=$a", '\\"', "\x1b[0;", "Private-Lines: 1\nAAAA", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "login password ", "x-a", "passPASS", "\n "),
)  # fmt: skip


def seconds(pattern: str, text: str, times: int) -> float:
    """Processor time of one substitution, the best of several."""
    substitute = re.compile(pattern).sub
    best = float("inf")
    for _ in range(times):
        begun = time.process_time()
        substitute(lambda match: match[0], text)
        best = min(best, time.process_time() - begun)
    return best


def units(rule: str) -> set[str]:
    """Texts to repeat: beginnings of what the rule finds, from each word on, with what makes it begin again."""
    found = set()
    for sample in HELD[rule]:
        text = sample.replace("«", "").replace("»", "")[:60]
        starts = [0, *(match.end() for match in re.finditer(r"\W", text))][:6]
        found |= {
            text[begin:end]
            for begin in starts
            for end in (*range(begin + 2, min(begin + 12, len(text))), begin + 24, len(text))
            if text[begin:end]
        }
    return {around + unit for around, unit in product(AROUND, found)} | {
        unit + around for around, unit in product(AROUND, found)
    }


def check_linear(pattern: str, pumped: list[str], length: int) -> None:
    """Compare texts of this length and of four times as much, made of what takes longest when repeated."""
    slowest = sorted(pumped, key=lambda unit: seconds(pattern, unit * (SHORT // len(unit)), 1))[-3:]
    for unit in slowest:
        short, long = (
            seconds(pattern, unit * (size // len(unit)), 5) for size in (length, 4 * length)
        )
        # What takes no time at all has no ratio.
        assert long <= max(MAX_RATIO * short, 0.04), (unit, short, long)


@pytest.mark.parametrize(("rule", "pattern"), [(name, pattern) for name, _, pattern in RULES])
def test_rule_takes_time_linear_in_the_text(rule: str, pattern: str) -> None:
    of_samples = sorted(units(rule))
    check_linear(pattern, [*of_samples[:: len(of_samples) // MOST_UNITS + 1], *PUMPED], LENGTH)


@pytest.mark.parametrize(
    "pattern",
    [r"(?i)cookie:(?=[^\r\n]*=)[^\r\n]{4,}", r"[a-z-]*\s-p", r"(?i)token:(?=[^\s]*[0-9])\S+"],
)
def test_a_rule_that_is_not_linear_is_found(pattern: str) -> None:
    """The control: the comparison sees what it is there to see."""
    with pytest.raises(AssertionError):
        check_linear(pattern, list(PUMPED), 4_000)


def test_much_broken_json_in_a_text_takes_no_long_time() -> None:
    times = []
    for length in (200_000, 800_000):
        text = '"token":[x' * (length // 10)
        tries = []
        for _ in range(3):
            begun = time.process_time()
            assert list(nested(text)) == []
            tries.append(time.process_time() - begun)
        times.append(min(tries))
    assert times[1] <= max(MAX_RATIO * times[0], 0.1), times


@pytest.mark.parametrize("unit", PUMPED)
def test_all_rules_together_are_linear(unit: str) -> None:
    """Together with what looks for JSON in a text, and the texts that a redaction leaves to the next rule."""
    best = []
    for length in (LENGTH, 4 * LENGTH):
        text = ('{"token": ' + unit * (length // len(unit)))[:length]
        times = []
        for _ in range(3):
            begun = time.process_time()
            Redactor({}, {}).text(text)
            times.append(time.process_time() - begun)
        best.append(min(times))
    assert best[1] <= max(MAX_RATIO * best[0], 0.04), best


@pytest.mark.parametrize("secret", ['\\a"b/c d1234', "!@#$%^&*()!@#$%^&*()", "%25%25%25a1b2c3"])
@pytest.mark.parametrize("unit", ["\\", "%25", "%2525", "\\u0022", "!@#$", "a\\"])
def test_the_forms_of_a_secret_variable_are_linear(secret: str, unit: str) -> None:
    (known,) = (one for one in secret_values({"DB_PASSWORD": secret}) if one.length == len(secret))
    check_linear(known.pattern(), [unit], LENGTH)
