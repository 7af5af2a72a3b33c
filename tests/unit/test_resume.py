"""A state comes back as it was, and one that does not fit is refused in one line that says why."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel

from components.errors import InputError
from components.training.resume import StateFile, TrainingState, differing
from flows import scratch

STATE = TrainingState(
    7, {"w": torch.arange(3.0)}, {"state": {0: {"step": torch.tensor(7.0)}}}, {"cpu": torch.get_rng_state()[None]}, [0.1, 2.0], []
)
FINGERPRINT = {"training.learning_rate": "0.1", "seed": "0"}


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    state = StateFile(tmp_path / "scratch" / "cell-0123456789abcdef.state", FINGERPRINT, 100)
    state.save(STATE)
    return state


def test_round_trip(file: StateFile) -> None:
    loaded = file.load()
    assert loaded is not None
    assert loaded.digests() == STATE.digests()
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]
    file.discard()
    assert file.load() is None


def test_digests_see_one_changed_bit() -> None:
    other = TrainingState(**{**STATE.__dict__, "model": {"w": torch.tensor([0.0, 1.0, 2.0000002])}})
    assert {name for name, digest in other.digests().items() if digest != STATE.digests()[name]} == {"model"}


def test_the_state_of_another_run_is_refused_with_what_differs(file: StateFile) -> None:
    other = StateFile(file.path, {"training.learning_rate": "0.2", "seed": "0", "the code": "ab"}, 100)
    with pytest.raises(
        InputError, match=r"cell.*is the state of another run \(the code was absent, is ab; training.learning_rate was 0.1, is 0.2\)"
    ):
        other.load()
    assert differing(dict.fromkeys("abcde", "0"), dict.fromkeys("abcde", "1")).endswith("c was 0, is 1 and 2 more")
    assert differing(FINGERPRINT, dict(FINGERPRINT)) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "state of version 3, this code reads 2; update the code"),
        ({"version": None}, "state of version None"),
        ({"momentum": 1}, "damaged"),
    ],
)
def test_a_state_of_a_newer_version_is_refused(file: StateFile, change: dict[str, Any], message: str) -> None:
    torch.save(torch.load(file.path, weights_only=True) | change, file.path)
    with pytest.raises(InputError, match=message):
        file.load()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"half"])
def test_a_damaged_state_is_refused(file: StateFile, damage: bytes) -> None:
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[: len(whole) // 2] if damage == b"half" else damage)
    with pytest.raises(InputError, match="damaged") as caught:
        file.load()
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused_and_not_run(file: StateFile, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"version": 2, "model": Evil()}, file.path)
    with pytest.raises(InputError, match="damaged"):
        file.load()
    assert not (tmp_path / "ran").exists()


class Section(BaseModel):
    rate: float


class Loaded(BaseModel):
    training: Section


def test_a_change_starts_afresh_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("manifest.json").write_text("1")
    Path("code").mkdir()
    Path("code/a.py").write_text("pass")

    def state(rate: float, seed: int = 0) -> StateFile:
        return scratch.state_file("train@a-0", Loaded(training=Section(rate=rate)), seed, [Path("manifest.json")], [Path("code")])

    first = state(0.1)
    first.save(STATE)
    assert list(scratch.describe(first)) == [f"going on from {first.path.name}"]
    assert state(0.1) == first
    assert list(scratch.describe(state(0.2))) == [f"not going on from {first.path.name}: training.rate was 0.1, is 0.2"]
    assert list(scratch.describe(state(0.1, seed=1))) == [f"not going on from {first.path.name}: seed was 0, is 1"]
    Path("code/a.py").write_text("...")
    assert "the code was" in next(scratch.describe(state(0.1)))
    Path("code/a.py").write_text("pass")
    Path("manifest.json").write_text("2")
    assert "manifest.json was" in next(scratch.describe(state(0.1)))
    first.path.write_bytes(b"")
    assert "damaged" in next(scratch.describe(state(0.1)))
    Path("manifest.json").unlink()
    with pytest.raises(InputError, match=r"^manifest\.json: not there; run the stage that makes it"):
        state(0.1)
