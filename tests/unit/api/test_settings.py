"""Settings: in and out of TOML, and loud about what cannot be."""

import dataclasses

import pytest

import failover


@pytest.mark.parametrize(
    "settings",
    [
        failover.Settings(),
        failover.Settings.internet(),
        failover.Settings(reads="quorum", lan_discovery=False),
        failover.Settings(
            net=failover.NetSettings(
                key_log='C:\\Games\\"ü"\x7f.txt',
                faults=failover.FaultSettings(
                    sent=failover.Faults(loss=0.02, delay_s=0.04, jitter_s=0.01, rate_bytes_per_s=1e6), seed=7
                ),
            )
        ),
        failover.Settings(request_timeout_s=3.5, digest_every=7, timing=failover.Timing(snapshot_entries=9_000)),
        failover.Settings(timing=failover.Timing(fitter_margin=64, fitter_dwell_s=20.0, voter_grace_s=5.0)),
    ],
)
def test_settings_survive_toml(settings):
    assert failover.Settings.from_toml(settings.to_toml()) == settings


def test_what_is_not_named_keeps_its_default():
    settings = failover.Settings.from_toml("alive_s = 1\n[timing]\nheartbeat_s = 0.02\n")
    assert settings == failover.Settings(alive_s=1, timing=failover.Timing(heartbeat_s=0.02))
    assert failover.Settings.from_toml("") == failover.Settings()
    bad = failover.Settings.from_toml("[net.faults.sent]\nloss = 0.1\n")
    assert bad.net.faults == failover.FaultSettings(sent=failover.Faults(loss=0.1))
    assert bad.net.faults.is_on and not failover.Settings().net.faults.is_on


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("alive = 1", "alive"),
        ("[timing]\nheartbeats_s = 0.02", "heartbeats_s"),
        ("[timings]\nheartbeat_s = 0.02", "timings"),
        ("alive_s = 'two'", "alive_s"),
        ("alive_s = true", "alive_s"),
        ("reads = 1", "reads"),
        ("lan_discovery = 1", "lan_discovery"),
        ("digest_every = true", "digest_every"),
        ("reads = 'guess'", "reads"),
        ("digest_every = 1.5", "digest_every"),
        ("digest_every = 0", "digest_every"),
        ("request_timeout_s = -1", "request_timeout_s"),
        ("request_timeout_s = nan", "request_timeout_s"),
        ("timing = 3", "timing"),
        ("[timing]\nheartbeat_s = 0.5", "heartbeat"),
        ("[timing]\npromise_s = 2.0", "promise_s = 2.0 must be at most promise_max_s = 1.0"),
        ("[timing]\nmargin_s = 0.0", "margin_s = 0.0 must be at least 0.001"),
        ("[timing]\nfitter_margin = 256", "fitter_margin = 256 must be at least 0 and at most 255"),
        ("[timing]\nfitter_margin = 0.5", "fitter_margin"),
        ("[timing]\nswap_margin = 0", "swap_margin"),
        ("[timing]\nvoter_grace_s = 0.0", "voter_grace_s"),
        ("[timing]\nheartbeat_s = nan", "heartbeat_s"),
        ("[timing]\npromise_max_s = nan", "promise_max_s"),
        ("[timing]\nrepeat_min_s = 0", "repeat_min_s"),
        ("[timing]\nwindow_messages = -1", "window_messages"),
        ("[timing]\nkept_entries = 20001", "kept_entries = 20001 must be at most snapshot_entries = 20000"),
        ("alive_s = ", "TOML"),
        ("net = 3", "net"),
        ("[net]\nkeylog = 'x'", "keylog"),
        ("[net]\nkey_log = 7", "key_log"),
        ("[net]\ncapture_size_max = 1", "capture_size_max"),
        ("[net.fault]\nseed = 1", "fault"),
        ("[net.faults]\nloss = 0.1", "loss"),
        ("[net.faults]\nseed = 'x'", "seed"),
        ("[net.faults]\nsent = 0.1", "sent"),
        ("[net.faults.sent]\nlosses = 0.1", "losses"),
        ("[net.faults.sent]\nloss = 2", "loss"),
        ("[net.faults.sent]\nloss = true", "loss"),
        ("[net.faults.received]\ndelay_s = -1", "delay_s"),
        ("[net.faults.received]\ndelay_s = nan", "delay_s"),
        ("[net.faults.received]\nrate_bytes_per_s = 5", "rate_bytes_per_s"),
    ],
)
def test_a_wrong_option_is_loud(text, named):
    with pytest.raises(failover.BadSettings, match=named):
        failover.Settings.from_toml(text)


def test_a_misspelt_option_in_code_is_loud():
    with pytest.raises(TypeError):
        failover.Settings(alive=1)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        failover.Settings().alive_s = 3
