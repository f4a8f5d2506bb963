//! From readings to changed windows and due runs.

use criterion::{Criterion, Throughput};
use quorate_core::decode::Readings;
use quorate_core::plan::WindowPlan;

use crate::kinds::{self, Kind, Sizes};
use crate::rig::{Rig, time};

/// Longer than any measurement takes by the shard's time.
const FOR_EVER_MS: i64 = 1 << 50;

/// Decoded batches, each newer than what the windows hold. The windows are full.
pub fn bench(criterion: &mut Criterion, sizes: &Sizes) {
    let mut group = criterion.benchmark_group("apply");
    for kind in kinds::all(sizes) {
        let mut rig = Rig::filled(&kind, min_interval_ms(&kind));
        let batch = next(&mut rig);
        rig.apply(&batch);
        let batch = next(&mut rig);
        rig.apply(&batch);
        assert!(rig.owes_newest_only(), "{kind}: every batch changes windows");
        group.throughput(Throughput::Elements(batch.rows().len() as u64));
        group.bench_function(&kind.name, |bencher| {
            time(bencher, &mut rig, next, |rig, readings| {
                rig.apply(&readings);
                readings
            });
        });
    }
    group.finish();
}

/// Ends the runs that the last batch made due, if they may begin, and decodes the next one.
fn next(rig: &mut Rig<'_>) -> Readings {
    rig.start();
    rig.finish();
    rig.next_readings()
}

/// Under load a run waits while many readings pass, and none of them is looked at by a module. Buckets do not coalesce:
/// each has a run of its own, at once.
fn min_interval_ms(kind: &Kind) -> i64 {
    if matches!(kind.topic.window, WindowPlan::Bucket(_)) { 0 } else { FOR_EVER_MS }
}
