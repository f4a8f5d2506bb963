//! Where state is kept, and for how long a station is remembered.

use std::path::Path;

use quorate::config::{self, Purpose, StateMode};

use super::{MODULES, SMALL, bad, good, shown, small_and, warnings};

#[test]
fn state_is_kept_in_a_folder_of_the_working_directory_unless_said_otherwise() {
    for (lines, mode, dir) in [
        ("", StateMode::Local, "state"),
        ("[state]", StateMode::Local, "state"),
        (
            "[state]\nmode = 'local'\ndir = '/var/lib/quorate'\ndelivery = 'at_least_once'",
            StateMode::Local,
            "/var/lib/quorate",
        ),
        ("[state]\nmode = 'memory'", StateMode::Memory, "state"),
    ] {
        let loaded = good(&small_and(lines));
        let state = &loaded.settings.state;
        assert_eq!((state.mode, state.dir.as_path()), (mode, Path::new(dir)), "{lines}");
        assert!(loaded.warnings.is_empty(), "{lines}\n{}", loaded.warnings);
    }
    let loaded = good(SMALL);
    let of_state = ["state.mode", "state.dir", "state.delivery"].map(|key| shown(&loaded, key).expect(key));
    assert_eq!(of_state, ["\"local\"", "\"state\"", "\"at_least_once\""]);
}

#[test]
fn one_argument_keeps_state_off_the_disk() {
    let set = ["state.mode=memory".to_owned()];
    let text = small_and("[state]\ndir = 'state'");
    let loaded = config::from_str_with("config.toml", &text, &set, Purpose::service(MODULES)).expect("no problem");
    assert_eq!(loaded.settings.state.mode, StateMode::Memory);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn all_that_is_wrong_with_the_state_is_said_at_once() {
    let report = bad(&small_and("[state]\nmode = 'sharded'\ndelivery = 'exactly_once'\ndri = 'x'"));
    assert_eq!(report.errors(), 3, "{report}");
}

#[test]
fn a_silent_station_is_forgotten_after_400_days_unless_said_otherwise() {
    const DAY_MS: i64 = 86_400_000;
    for (lines, expected) in
        [("", Some(400 * DAY_MS)), ("forget_after = '1d'", Some(DAY_MS)), ("forget_after = 'never'", None)]
    {
        let loaded = good(&small_and(&format!("[stations]\n{lines}")));
        assert_eq!(loaded.settings.plan.stations.forget_after_ms, expected, "{lines}");
        assert_eq!(warnings(&loaded), Vec::<&str>::new());
    }
}
