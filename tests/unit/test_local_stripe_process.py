"""The local Stripe as a process of its own: started, ended, started anew."""

import os
import signal
import subprocess

import pytest

from lib import local_stripe


@pytest.fixture
def process(tmp_path, monkeypatch):
    """The module, with files of its own so that a demo goes on undisturbed."""
    monkeypatch.setattr(local_stripe, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(local_stripe, "PID", tmp_path / "pid")
    monkeypatch.setattr(local_stripe, "LOGS", tmp_path)
    yield local_stripe
    local_stripe.stop()


def test_it_comes_back_with_what_it_knew(process):
    first = process.start()
    saved = first.saved_method()
    os.kill(int(process.PID.read_text()), signal.SIGKILL)
    second = process.start()
    assert second.get(saved["customer"])
    process.forget()
    with pytest.raises(OSError, match="refused"):
        second.now()
    assert process.start().get(saved["customer"]) is None


def test_only_its_own_process_is_ended(process):
    with subprocess.Popen(["sleep", "60"]) as other:
        process.PID.write_text(str(other.pid))
        process.stop()
        assert other.poll() is None
        assert not process.PID.exists()
        other.kill()


def test_ending_what_does_not_run_is_fine(process):
    process.stop()
    process.PID.write_text("999999999")
    process.stop()
    assert not process.PID.exists()
