//! From due runs to complete inputs, and from inputs to their JSON.

use criterion::{Criterion, Throughput};

use crate::kinds::{self, Kind, Sizes};
use crate::rig::{Rig, time};

/// A batch has changed every station's window; each station's input is assembled. The windows are full.
pub fn bench(criterion: &mut Criterion, sizes: &Sizes) {
    let mut kinds = kinds::all(sizes);
    kinds.push(kinds::week(sizes));
    inputs(criterion, &kinds);
    json(criterion, &kinds);
}

fn inputs(criterion: &mut Criterion, kinds: &[Kind]) {
    let mut group = criterion.benchmark_group("assemble");
    for kind in kinds {
        let mut rig = Rig::filled(kind, 0);
        change(&mut rig);
        rig.start();
        assert_eq!(rig.running().len() as u64, kind.stations, "{kind}: an input for each station");
        group.throughput(Throughput::Elements(kind.stations));
        group.bench_function(&kind.name, |bencher| {
            time(bencher, &mut rig, change, |rig, ()| rig.start());
        });
    }
    group.finish();
}

fn json(criterion: &mut Criterion, kinds: &[Kind]) {
    let mut group = criterion.benchmark_group("to_json");
    for kind in kinds {
        let mut rig = Rig::filled(kind, 0);
        change(&mut rig);
        rig.start();
        let input = &rig.running()[0].input;
        let bytes = input.to_json().len() as u64;
        group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes });
        group.bench_function(&kind.name, |bencher| bencher.iter_with_large_drop(|| input.to_json()));
    }
    group.finish();
}

fn change(rig: &mut Rig<'_>) {
    rig.finish();
    let readings = rig.next_readings();
    rig.apply(&readings);
}
