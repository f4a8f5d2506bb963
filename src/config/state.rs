//! `[state]`: where state is kept between two lives of the process. Knows no store.

use std::path::PathBuf;

use super::reader::Reader;
use super::scalar::{choice, name};
use super::settings::{StateMode, StateSettings};

pub(super) fn read(root: &Reader<'_>) -> StateSettings {
    let table = root.table("state");
    let modes = vec![("local", StateMode::Local), ("memory", StateMode::Memory)];
    let mode = table.or("mode", "local", choice(modes, &["sharded"])).value;
    let dir = table.or("dir", "state", name).value;
    table.or("delivery", "at_least_once", choice(vec![("at_least_once", ())], &["exactly_once"]));
    table.finish();
    StateSettings { mode, dir: PathBuf::from(dir) }
}
