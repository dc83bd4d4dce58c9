"""The keys that seal: given or made, kept to their owner, rotated without losing one."""

import base64
import copy
import hashlib
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from store.errors import Invalid
from store.keyring import Keyring, MasterKey, forget_old, load_keyring, rotate_file
from store.sealing import seal, unseal
from store.settings import Settings, load_settings
from tests import key_processes
from tests.canary import all_that_shows

ROOT = Path(__file__).parents[1]
MATERIAL = b"canary-7Q-key-material-012345678"
FORMS = [MATERIAL.hex(), base64.b64encode(MATERIAL).decode(), MATERIAL.decode()]
FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))
FIRST_ID = "e8384dbf"  # tests/test_sealing.py says whence.

if sys.platform != "win32":
    import resource

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="no file modes, no fork")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(folder: Path) -> Settings:
    return settings_with(folder)


def settings_with(folder: Path, keys: str | None = None, file: Path | None = None) -> Settings:
    return Settings(
        _env_file=None,
        TRADE_HISTORY_DATA_DIR=folder,
        TRADE_HISTORY_KEYS=None if keys is None else SecretStr(keys),
        TRADE_HISTORY_KEYS_FILE=file,
    )


def put(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "keys"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(settings: Settings) -> str:
    with pytest.raises(Invalid) as refused:
        load_keyring(settings)
    return str(refused.value)


def text_of(*keys: bytes) -> str:
    return "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)


# --- Given by the environment


@pytest.mark.parametrize(
    "text",
    [
        FIRST.hex(),
        FIRST.hex().upper(),
        base64.b64encode(FIRST).decode(),
        base64.b64encode(FIRST).decode().rstrip("="),
        f"  {FIRST.hex()}\n",
    ],
)
def test_a_key_is_given_in_hex_or_base64(folder: Path, text: str) -> None:
    assert load_keyring(settings_with(folder, text)).ids == (FIRST_ID,)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read(folder: Path, encode: Callable[[bytes], bytes]) -> None:
    """0xfb 0xff... has the digits + and / in one, - and _ in the other."""
    key = b"\xfb\xff\xbf" * 10 + b"\xfb\xff"

    found = load_keyring(settings_with(folder, encode(key).decode()))

    assert found.ids == (MasterKey(key).id,)


@pytest.mark.parametrize("between", [",", " ", "\n", ", ", ",\n\t"])
def test_several_keys_keep_their_order(folder: Path, between: str) -> None:
    found = load_keyring(settings_with(folder, f"{SECOND.hex()}{between}{FIRST.hex()}"))

    assert found.ids == (MasterKey(SECOND).id, FIRST_ID)
    assert found.current.id == MasterKey(SECOND).id


def test_keys_are_given_in_a_file(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + text_of(SECOND, FIRST).encode())

    found = load_keyring(settings_with(folder, file=tmp_path / "secret"))

    assert found.ids == (MasterKey(SECOND).id, FIRST_ID)


def test_given_keys_leave_the_data_folder_alone(folder: Path) -> None:
    load_keyring(settings_with(folder, FIRST.hex()))

    assert not folder.exists()


def test_the_environment_names_the_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADE_HISTORY_KEYS", FIRST.hex())

    assert load_keyring(load_settings()).ids == (FIRST_ID,)


def test_keys_given_twice_over_are_refused(folder: Path) -> None:
    both = settings_with(folder, FIRST.hex(), folder / "secret")

    assert refusal(both) == (
        "TRADE_HISTORY_KEYS and TRADE_HISTORY_KEYS_FILE are both set; set only one of them."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("short", "key 1 is not one; keys of 32 random bytes in base64 or hex are accepted"),
        (f"{FIRST.hex()},{FIRST.hex()[1:]}", "key 2 is not one; keys of 32"),
        (f"{FIRST.hex()}00", "key 1 is not one"),
        (base64.b64encode(FIRST + b"x").decode(), "key 1 is not one"),
        (base64.b64encode(FIRST[1:]).decode(), "key 1 is not one"),
        (",", "no key is there; keys of 32"),
    ],
)
def test_what_is_no_key_is_refused_with_what_is_accepted(
    tmp_path: Path, folder: Path, text: str, problem: str
) -> None:
    (tmp_path / "secret").write_text(text)

    by_value = refusal(settings_with(folder, text))
    by_file = refusal(settings_with(folder, file=tmp_path / "secret"))

    assert by_value.startswith(f"TRADE_HISTORY_KEYS: {problem}")
    assert by_file.startswith(f"TRADE_HISTORY_KEYS_FILE: {problem}")


def test_a_key_given_twice_is_refused(folder: Path) -> None:
    text = f"{FIRST.hex()} {base64.b64encode(FIRST).decode()}"

    assert "Two keys have the same id (e8384dbf, e8384dbf)" in refusal(settings_with(folder, text))


def test_two_keys_of_one_id_are_refused_before_one_hides_the_other() -> None:
    """Found by trying 96,417 numbers: eight hex digits are few enough to meet again."""
    one, other = (MasterKey(number.to_bytes(32, "big")) for number in (67289, 96417))
    assert one.id == other.id

    with pytest.raises(Invalid, match="same id"):
        Keyring([one, other])


def test_no_key_makes_no_keyring() -> None:
    with pytest.raises(Invalid, match="at least one"):
        Keyring([])


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(Invalid, match="32 bytes, not 31"):
        MasterKey(FIRST[1:])


# --- Kept in the data folder


def test_the_first_need_makes_a_key_that_stays(settings: Settings, folder: Path) -> None:
    made = load_keyring(settings)

    assert load_keyring(settings).ids == made.ids
    sealed = seal(made, "a token", place="p")
    assert unseal(load_keyring(settings), sealed, place="p").get_secret_value() == "a token"
    assert len(base64.b64decode((folder / "keys").read_text())) == 32


def test_loading_what_is_there_writes_nothing(settings: Settings, folder: Path) -> None:
    """It may be a folder that this process can only read."""
    put(folder, text_of(FIRST).encode())

    load_keyring(settings)

    assert [path.name for path in folder.iterdir()] == ["keys"]


def test_every_data_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    ids = [load_keyring(settings_with(tmp_path / name)).ids for name in "abc"]

    assert len(set(ids)) == 3


@needs_posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_open_what_is_made(settings: Settings, folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        load_keyring(settings)
        rotate_file(settings)
    finally:
        os.umask(before)

    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "keys": 0o600,
        "keys.lock": 0o600,
    }
    assert folder.stat().st_mode & 0o077 == 0


@needs_posix
@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644])
def test_a_file_open_to_others_is_refused(settings: Settings, folder: Path, mode: int) -> None:
    path = put(folder, text_of(FIRST).encode(), mode)

    for refused in (load_keyring, rotate_file, lambda settings: forget_old(settings, set())):
        with pytest.raises(Invalid) as told:
            refused(settings)
        assert str(told.value) == (
            f"{path} is open to others (mode {mode:04o}); mode 0600 is accepted, as by chmod 600."
        )
    assert path.read_text() == text_of(FIRST)


@needs_posix
def test_a_file_that_only_its_owner_reads_may_be_read_only(
    settings: Settings, folder: Path
) -> None:
    put(folder, text_of(FIRST).encode(), 0o400)

    assert load_keyring(settings).ids == (FIRST_ID,)


@needs_posix
def test_a_link_to_somebody_elses_file_is_refused(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir()
    theirs = Path("/etc/passwd")
    if os.geteuid() == 0:  # To whom that file belongs.
        theirs = tmp_path / "theirs"
        theirs.touch(0o600)
        os.chown(theirs, 12345, 12345)
    (folder / "keys").symlink_to(theirs)

    assert f"{theirs} belongs to user {theirs.stat().st_uid} and this process" in refusal(settings)


@needs_posix
def test_a_link_to_a_file_of_ones_own_stays_a_link(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir()
    (folder / "keys").symlink_to(tmp_path / "elsewhere")

    made = load_keyring(settings)
    rotated = rotate_file(settings)

    assert (folder / "keys").is_symlink()
    assert len((tmp_path / "elsewhere").read_text().split()) == 2
    assert rotated.ids[1:] == made.ids == load_keyring(settings).ids[1:]


@needs_posix
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: os.mkfifo(path, 0o600), "is not a file"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting(
    settings: Settings, folder: Path, make: Callable[[Path], object], problem: str
) -> None:
    folder.mkdir()
    make(folder / "keys")

    assert refusal(settings).startswith(f"{folder / 'keys'} {problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no key is there; keys of 32 random bytes in base64 or hex are accepted"),
        (b"\n\n", "no key is there"),
        (b"short\n", "key 1 is not one"),
        (text_of(FIRST).encode() + b"\xff\xfe\n", "key 2 is not one"),
        (text_of(FIRST, SECOND).encode()[:-8], "key 2 is not one"),
    ],
)
def test_a_file_without_keys_is_refused_and_kept(
    settings: Settings, folder: Path, content: bytes, problem: str
) -> None:
    path = put(folder, content)

    assert refusal(settings).startswith(f"{path}: {problem}")
    with pytest.raises(Invalid, match="accepted"):
        rotate_file(settings)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told_with_the_other_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    told = refusal(settings_with(tmp_path / "file" / "data"))

    assert told.startswith(f"{tmp_path / 'file' / 'data' / 'keys'} cannot be ")
    assert "Not a directory" in told


@needs_posix
def test_a_file_that_cannot_be_written_whole_stays_as_it_was(
    settings: Settings, folder: Path
) -> None:
    """As when the disk is full: of two keys' 90 bytes the system takes 60."""
    made = load_keyring(settings)

    with only_files_of(60), pytest.raises(Invalid) as refused:
        rotate_file(settings)

    assert str(refused.value) == (
        f"{folder / 'keys'} cannot be written: File too large; "
        "keys can also be given by TRADE_HISTORY_KEYS."
    )
    assert load_keyring(settings).ids == made.ids
    assert not (folder / "keys.new").exists()


@contextmanager
def only_files_of(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- Rotated


def test_rotating_puts_a_fresh_key_first_and_keeps_the_old_ones(settings: Settings) -> None:
    made = load_keyring(settings)
    sealed = seal(made, "a token", place="p")

    once, twice = rotate_file(settings), rotate_file(settings)

    assert once.ids[1:] == made.ids
    assert twice.ids[1:] == once.ids
    assert len(set(twice.ids)) == 3
    assert load_keyring(settings).ids == twice.ids
    assert unseal(twice, sealed, place="p").get_secret_value() == "a token"


def test_rotating_before_there_is_a_key_makes_one(settings: Settings) -> None:
    made = rotate_file(settings)

    assert len(made.ids) == 1
    assert load_keyring(settings).ids == made.ids


def test_old_keys_that_nothing_uses_are_forgotten(settings: Settings) -> None:
    load_keyring(settings)
    rotate_file(settings)
    current, middle, first = rotate_file(settings).ids

    assert forget_old(settings, {first}).ids == (current, first)
    assert load_keyring(settings).ids == (current, first)
    assert middle not in load_keyring(settings).ids


def test_the_current_key_is_never_forgotten(settings: Settings) -> None:
    current = rotate_file(settings).current.id

    assert forget_old(settings, set()).ids == (current,)
    assert forget_old(settings, {"00000000"}).ids == (current,)


def test_with_nothing_to_forget_the_file_is_left_alone(settings: Settings, folder: Path) -> None:
    path = put(folder, SECOND.hex().encode() + b" " + FIRST.hex().encode())

    forget_old(settings, {FIRST_ID})

    assert path.read_text() == f"{SECOND.hex()} {FIRST.hex()}"


def test_forgetting_before_there_is_a_key_makes_one(settings: Settings) -> None:
    assert forget_old(settings, set()).ids == load_keyring(settings).ids


@pytest.mark.parametrize("variable", ["TRADE_HISTORY_KEYS", "TRADE_HISTORY_KEYS_FILE"])
def test_given_keys_are_rotated_by_whoever_gives_them(
    folder: Path, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "secret").write_text(text_of(FIRST))
    by_file = variable.endswith("_FILE")
    given = (
        settings_with(folder, file=tmp_path / "secret")
        if by_file
        else settings_with(folder, FIRST.hex())
    )

    for change in (rotate_file, lambda settings: forget_old(settings, set())):
        with pytest.raises(Invalid, match=f"given by {variable}, .* put a new key first, keep"):
            change(given)
    assert (tmp_path / "secret").read_text() == text_of(FIRST)


# --- Many processes, and processes that are killed


def told_by(command: str, folder: Path) -> list[list[str]]:
    ran = subprocess.run(
        [sys.executable, "-m", key_processes.__name__, command, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    return [line.split() for line in ran.stdout.splitlines()]


@needs_posix
def test_processes_that_need_the_first_key_at_once_agree_on_one(tmp_path: Path) -> None:
    rounds = told_by("race_to_create", tmp_path)

    kept = [
        list(load_keyring(settings_with(tmp_path / str(number))).ids)
        for number in range(key_processes.ROUNDS)
    ]
    assert rounds == kept
    assert {len(ids) for ids in rounds} == {1}


@needs_posix
def test_rotations_at_once_lose_no_key(settings: Settings, folder: Path) -> None:
    [made_current] = told_by("race_to_rotate", folder)

    assert len(made_current) == key_processes.AT_ONCE * key_processes.ROTATIONS
    *rotated, _first = load_keyring(settings).ids
    assert sorted(rotated) == sorted(made_current)


@needs_posix
@pytest.mark.parametrize(
    ("command", "lefts"),
    [
        ("create", {"-"}),  # Whoever asks next makes the key that the killed one did not.
        ("rotate", {"0 1 2", "- 0 1 2"}),
        ("forget", {"0 1 2", "0 1"}),
    ],
)
def test_killed_at_any_step_it_leaves_the_old_keys_or_the_new(
    tmp_path: Path, command: str, lefts: set[str]
) -> None:
    """Also, the next rotation finds nothing in its way and leaves nothing behind."""
    left = Counter(" ".join(line) for line in told_by(command, tmp_path))

    assert left.keys() == lefts
    assert left.total() > 20


@needs_posix
def test_killed_at_any_moment_no_rotation_loses_what_was_sealed(tmp_path: Path) -> None:
    [[opened]] = told_by("kill_at_random", tmp_path)

    assert int(opened) >= key_processes.KILLS


# --- Silence


@pytest.fixture
def canary() -> Keyring:
    return Keyring([MasterKey(MATERIAL), MasterKey(FIRST)])


def shows_no_key(text: str) -> bool:
    return not any(form in text for form in FORMS)


def test_a_keyring_shows_ids_only(canary: Keyring) -> None:
    current = canary.current

    assert repr(canary) == str(canary) == f"Keyring({current.id}, {FIRST_ID})"
    assert repr(current) == str(current) == f"MasterKey({current.id})"
    assert not hasattr(canary, "__dict__")
    assert not hasattr(current, "__dict__")
    assert shows_no_key(f"{current.written()} {list(canary)}")


def test_an_id_is_no_hash_of_the_key_itself(canary: Keyring) -> None:
    """Who guesses a key must at least derive from it; equal ids elsewhere tell nothing."""
    assert canary.current.id != hashlib.sha256(MATERIAL).hexdigest()[:8]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_keyring_is_not_pickled(canary: Keyring, protocol: int) -> None:
    with pytest.raises(TypeError) as refused:
        pickle.dumps(canary, protocol)

    assert shows_no_key(all_that_shows(refused.value))


def test_a_key_is_not_copied(canary: Keyring) -> None:
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        copy.deepcopy(canary)


def test_settings_show_no_key(folder: Path) -> None:
    for form in FORMS[:2]:
        settings = settings_with(folder, form)

        assert shows_no_key(f"{settings} {settings!r} {settings.model_dump()}")
        assert shows_no_key(settings.model_dump_json())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["{},wrong", "wrong,{}", "{0},{0}", "x{}", "{}\ufffd"])
def test_refused_keys_are_in_no_message_or_traceback(
    tmp_path: Path, folder: Path, form: str, text: str
) -> None:
    content = text.format(form)
    put(folder, content.encode())
    (tmp_path / "secret").write_text(content)

    for settings in (
        settings_with(folder, content),
        settings_with(folder, file=tmp_path / "secret"),
        settings_with(folder),
    ):
        with pytest.raises(Invalid) as refused:
            load_keyring(settings)
        assert shows_no_key(all_that_shows(refused.value))
        assert refused.value.__context__ is None


def test_a_key_of_the_wrong_size_is_in_no_traceback() -> None:
    with pytest.raises(Invalid) as refused:
        MasterKey(MATERIAL + b"x")

    assert shows_no_key(all_that_shows(refused.value))


@needs_posix
def test_keys_that_cannot_be_written_are_in_no_traceback(settings: Settings, folder: Path) -> None:
    put(folder, text_of(MATERIAL).encode())

    with only_files_of(60), pytest.raises(Invalid) as refused:
        rotate_file(settings)

    assert shows_no_key(all_that_shows(refused.value))
