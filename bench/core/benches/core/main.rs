//! `cargo bench -p quorate-bench-core`: what decoding, taking readings in and assembling inputs cost, for every kind of
//! window. Knows nothing of Kafka.

mod apply;
mod assemble;
mod decode;
mod kinds;
mod messages;
mod rig;

use std::time::Duration;

use criterion::Criterion;
use kinds::Sizes;

fn main() {
    // Only `cargo bench` says so; as a test each benchmark runs once, to see that it works.
    let sizes = if std::env::args().any(|arg| arg == "--bench") { Sizes::MEASURED } else { Sizes::TRIED };
    let criterion = Criterion::default().without_plots().sample_size(20);
    let criterion = criterion.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    let mut criterion = criterion.configure_from_args();
    decode::bench(&mut criterion, &sizes);
    apply::bench(&mut criterion, &sizes);
    assemble::bench(&mut criterion, &sizes);
    criterion.final_summary();
}
