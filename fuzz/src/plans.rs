//! The plans that payloads and records are tried with: together every window kind, every way to find readings and
//! every policy. Limits are small, so that small inputs reach them.

use quorate_core::plan::{Column, Fill, Limits, Pad, Plan, RowsPlan, Then, WindowPlan};

use crate::support::{Grid, HOUR, MINUTE, Module, SECOND, module, plan, pointer, probe_of, topic};

pub(crate) const LIMITS: Limits = Limits { record_bytes: 2048, depth: 12, elements: 24, string_bytes: 96 };

/// Topics that each take another path through the decoder; every one is called `T` and feeds a module `probe`.
pub(crate) fn decoded() -> Vec<Plan> {
    let list = || topic("T").records(&["/*"]);
    let topics = vec![
        topic("T"),
        topic("T").fields(&["/v", "/a/b"]),
        list().ignore_null(),
        topic("T").records(&["/a/0/b/*", "/list/*/r", "/c", ""]),
        topic("T").records(&["/list/*/*", "/list"]).station("/k"),
        list().per_key("/k", None),
        topic("T").epoch_time("/at"),
        topic("T").local_time("/t", "Europe/Berlin"),
        topic("T").global(),
        list().bucket(HOUR, None),
        topic("T").results(),
        list(),
        list(),
        topic("T").grid(grid(&["/k", "/n"], &["/v", "/w"], &["/t"])),
        list().grid(grid(&["/n"], &["/v"], &[])),
    ];
    let mut plans: Vec<Plan> = topics.into_iter().map(|topic| limited(probe_of(vec![topic]))).collect();
    plans[11].topics[0].window = rows(None);
    plans[12].topics[0].window = rows(Some(&["/v", "/a/b", "/t"]));
    plans
}

/// Services of several topics and modules. Modules called `ticking…` are due by time, and their plans cannot take
/// clocks that jump far: every tick of them is an input of every station.
pub(crate) fn replayed() -> Vec<Plan> {
    let kinds = || {
        vec![
            topic("A"),
            topic("B").records(&["/*"]).per_key("/k", Some(HOUR)).expect(MINUTE),
            topic("C").records(&["/list/*", "/*", ""]).grid(grid(&["/k", "/n"], &["/v", "/w"], &["/t"])),
            topic("D").records(&["/*", ""]).bucket(MINUTE, Some(SECOND)),
            topic("E").global(),
            topic("F").results(),
        ]
    };
    vec![
        limited(plan(
            kinds(),
            vec![
                module("first").requires(&["A"]).requires_young("B", HOUR).optional(&["C", "E"]),
                module("second").requires(&["first"]).optional(&["D"]).min_interval(MINUTE),
                module("third").requires_young("first", MINUTE).requires(&["second"]),
                module("by_bucket").requires(&["D"]).on(&["D"]),
                module("by_result").requires(&["F"]).optional(&["A"]),
            ],
        )),
        limited(plan(
            kinds(),
            vec![
                partial("partial", Some(MINUTE)).requires(&["A", "C"]).requires_young("B", MINUTE),
                module("skips").incomplete(Then::Skip, None).requires_young("A", SECOND).requires(&["D"]),
                module("keeps").incomplete(Then::LastGood, None).requires_young("A", SECOND).requires(&["E"]),
                module("fed").requires(&["partial"]).optional_young("keeps", SECOND),
            ],
        )),
        limited(plan(
            kinds(),
            vec![
                module("ticking").every(10 * MINUTE).requires(&["A"]).optional(&["D"]),
                module("ticking_too").every(7 * MINUTE).requires(&["ticking"]),
                module("ticking_partial").every(HOUR).incomplete(Then::Partial, Some(SECOND)).requires(&["B", "E"]),
                module("first").requires(&["C"]).on(&["C"]),
            ],
        )),
        limited(plan(
            vec![topic("A").epoch_time("/at").bucket(1, Some(i64::MAX)), topic("B").bucket(i64::MAX, Some(0))],
            vec![module("both").requires(&["A", "B"]), module("one").requires_young("A", i64::MAX)],
        )),
    ]
}

fn partial(name: &str, after_ms: Option<i64>) -> Module {
    module(name).incomplete(Then::Partial, after_ms)
}

fn limited(plan: Plan) -> Plan {
    Plan { limits: LIMITS, ..plan }
}

fn grid(series: &[&'static str], values: &[&'static str], totals: &[&'static str]) -> Grid {
    Grid {
        step_ms: HOUR,
        steps: 3,
        fill: Fill::Linear,
        max_gap_ms: Some(HOUR),
        series: series.to_vec(),
        values: values.to_vec(),
        totals: totals.to_vec(),
    }
}

fn rows(columns: Option<&[&str]>) -> WindowPlan {
    let column = |at: &&str| {
        let at = pointer(at);
        Column { name: at.name().expect("a column has a name").into(), at }
    };
    let columns = columns.map(|columns| columns.iter().map(column).collect());
    WindowPlan::Rows(RowsPlan { size: 3, span_ms: Some(HOUR), columns, pad: Pad::None })
}
