//! From the bytes of a batch to its readings.

use criterion::{Criterion, Throughput};

use crate::kinds::{self, Sizes};
use crate::rig::{Rig, time};

/// Batches as a consumer hands them over, each decoded once.
pub fn bench(criterion: &mut Criterion, sizes: &Sizes) {
    let mut group = criterion.benchmark_group("decode");
    for kind in kinds::all(sizes) {
        let mut rig = Rig::new(&kind, 0);
        let batch = rig.batch();
        let bytes = batch.bytes().len() as u64;
        let readings = rig.decode(batch);
        assert!(readings.dead().is_empty(), "{kind}: every message is a reading");
        group.throughput(Throughput::ElementsAndBytes { elements: readings.rows().len() as u64, bytes });
        group.bench_function(&kind.name, |bencher| {
            time(bencher, &mut rig, Rig::batch, Rig::decode);
        });
    }
    group.finish();
}
