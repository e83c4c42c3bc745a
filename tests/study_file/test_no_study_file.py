"""Texts and files that are no study file at all: one clear sentence each."""

from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.studies.question.study_file import find_study, load_study, parse_study


def message(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_study(text, "study.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: a study file must hold keys and values, as in `name: my-study`; this one is empty"),
        ("# nothing\n", "1: a study file must hold keys and values, as in `name: my-study`; this one is empty"),
        ("- 1\n", "1: a study file must hold keys and values, as in `name: my-study`; this one is a list"),
        ("word", "1: a study file must hold keys and values, as in `name: my-study`; this one is a single value"),
        ("a: 1\nb: [1\nc: 2\n", "3: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("a: \x07", "1: not valid YAML: the character '\\x07' is not allowed"),
        (
            "a: 1\n---\nb: 2\n",
            "2: not valid YAML: expected a single document in the stream, but found another document",
        ),
        ("a: &a [*a]\n", "1: nested too deep or too large for a study file"),
        ("[" * 5000, "1: nested too deep for a study file"),
        ("a: !!int many\n", "1: not valid YAML: 'many' is no int"),
        (
            "a: !!python/name:os.system x\n",
            "1: not valid YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
        (f"a: {2**70}\n", "1: not valid YAML: a whole number must fit 64 bits"),
        (
            "a: 1\nb: 30:00\n",
            "2: not valid YAML: YAML 1.1 reads 30:00 as 1800, a number of base 60; write it in quotes",
        ),
    ],
)
def test_what_is_no_study_file(text: str, expected: str) -> None:
    assert message(text) == f"study.yaml:{expected}"


def test_aliases_that_unfold_without_end_are_refused() -> None:
    levels = [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    assert "too large" in message("\n".join(["a0: &a0 [x]", *levels]))
    merges = [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}" for k in range(1, 12)]
    assert "too large" in message("\n".join(["a0: &a0 {x: 1}", *merges]))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def mistake(path: Path) -> str:
        with pytest.raises(UserError) as caught:
            load_study(path)
        return str(caught.value)

    assert mistake(tmp_path / "no.yaml") == f"there is no file '{tmp_path}/no.yaml'"
    assert mistake(tmp_path) == f"{tmp_path} is a folder; give a study file, such as {tmp_path}/study.yaml"
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    assert mistake(tmp_path / "bytes.yaml") == f"{tmp_path}/bytes.yaml cannot be read: it is not UTF-8 text"


@pytest.mark.parametrize(
    ("name", "hint"), [("quickstat", "did you mean 'quickstart'?"), ("\0", "valid: "), ("a" * 5000, "valid: ")]
)
def test_no_such_study(name: str, hint: str) -> None:
    with pytest.raises(UserError, match="there is no file") as caught:
        find_study(name)
    assert hint in str(caught.value)
