//! Plans are the cheapest there are: worked out by hand, and against a search through every plan on a lattice.

use proptest::prelude::*;

use super::*;

const UNLIMITED: f64 = f64::INFINITY;

fn demand(load_kw: f64, price: f64) -> Demand {
    Demand { load_kw, pv_kw: 0.0, price }
}

/// Empty at the start, of 100 kWh.
fn battery(power_kw: f64, efficiency: f64, wear_per_kwh: f64) -> Battery {
    Battery { min_kwh: 0.0, max_kwh: 100.0, start_kwh: 0.0, power_kw, efficiency, wear_per_kwh }
}

fn problem(demand: &[Demand], grid_kw: f64, battery: Battery) -> Problem {
    Problem { demand: demand.to_vec(), grid_kw, battery: Some(battery) }
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
}

#[test]
fn charges_in_the_valley_and_discharges_at_the_peak() {
    let problem = problem(&[demand(10.0, 0.3), demand(10.0, 1.0)], UNLIMITED, battery(5.0, 0.9, 0.01));
    let flows = problem.solve().expect("solved");
    assert_close(flows[0].charge_kw, 5.0);
    assert_close(flows[0].soc_kwh, 4.5);
    assert_close(flows[1].discharge_kw, 4.05);
    assert_close(flows[1].grid_kw, 5.95);
    assert_close(problem.cost(&flows), 0.3 * 15.0 + 1.0 * 5.95 + 0.01 * 9.05);
}

#[test]
fn charges_no_more_than_fits() {
    let small = Battery { max_kwh: 1.8, ..battery(5.0, 0.9, 0.01) };
    let flows = problem(&[demand(10.0, 0.3), demand(10.0, 1.0)], UNLIMITED, small).solve().expect("solved");
    assert_close(flows[0].charge_kw, 2.0);
    assert_close(flows[1].discharge_kw, 1.62);
}

#[test]
fn nothing_moves_when_losses_or_wear_eat_the_spread() {
    let lossy = problem(&[demand(10.0, 0.85), demand(10.0, 1.0)], UNLIMITED, battery(5.0, 0.9, 0.001));
    let worn = problem(&[demand(10.0, 0.99), demand(10.0, 1.0)], UNLIMITED, battery(5.0, 1.0, 0.01));
    for problem in [lossy, worn] {
        let flows = problem.solve().expect("solved");
        assert!(flows.iter().all(|flow| flow.charge_kw.max(flow.discharge_kw) < 1e-9), "{flows:?}");
        assert_close(problem.cost(&flows), problem.cost(&problem.without_battery()));
    }
}

#[test]
fn a_tight_grid_is_helped_out_by_what_was_charged_before() {
    let demand = [demand(10.0, 0.5), demand(30.0, 0.5)];
    let problem = problem(&demand, 20.0, battery(20.0, 1.0, 0.01));
    let flows = problem.solve().expect("solved");
    assert_close(flows[0].charge_kw, 10.0);
    assert_close(flows[1].discharge_kw, 10.0);
    assert!(flows.iter().all(|flow| flow.unserved_kw == 0.0 && flow.grid_kw <= 20.0));
    assert_close(problem.without_battery()[1].unserved_kw, 10.0);
}

#[test]
fn what_neither_grid_nor_battery_can_deliver_is_unserved() {
    let flows = problem(&[demand(10.0, 0.5), demand(30.0, 0.5)], 12.0, battery(20.0, 1.0, 0.01)).solve();
    let flows = flows.expect("solved");
    assert_close(flows[0].charge_kw, 2.0);
    assert_close(flows[1].unserved_kw, 16.0);
}

#[test]
fn the_battery_ends_no_emptier_than_it_began() {
    let full = Battery { start_kwh: 100.0, ..battery(50.0, 0.9, 0.01) };
    let problem = problem(&[demand(40.0, 2.0), demand(40.0, 1.0)], UNLIMITED, full);
    let flows = problem.solve().expect("solved");
    assert_close(flows[1].soc_kwh, 100.0);
    assert_close(flows[0].discharge_kw, 40.0);
}

#[test]
fn sun_left_over_is_kept_for_later_and_the_rest_is_not_used() {
    let sunny = Demand { load_kw: 5.0, pv_kw: 30.0, price: 0.5 };
    let flows = problem(&[sunny, demand(10.0, 0.5)], UNLIMITED, battery(20.0, 1.0, 0.01)).solve().expect("solved");
    assert_close(flows[0].charge_kw, 10.0);
    assert_close(flows[0].curtailed_kw, 15.0);
    assert_close(flows[1].grid_kw, 0.0);
}

/// The least cost over every plan whose charge lies on multiples of `step` kWh, by dynamic programming. With `loose`, plans
/// may use a little more power and throw away what they discharge too much.
fn search(problem: &Problem, step: f64, loose: bool) -> f64 {
    let battery = problem.battery.expect("a battery");
    let level = |kwh: f64| (kwh / step).round() as usize;
    let levels = level(battery.min_kwh)..=level(battery.max_kwh);
    let power = battery.power_kw + if loose { 2.0 * step / battery.efficiency } else { 1e-9 };
    let mut least = vec![f64::INFINITY; level(battery.max_kwh) + 1];
    least[level(battery.start_kwh)] = 0.0;
    for hour in &problem.demand {
        let mut next = vec![f64::INFINITY; least.len()];
        for (from, to) in levels.clone().flat_map(|from| levels.clone().map(move |to| (from, to))) {
            let stored = (to as f64 - from as f64) * step;
            let (charge_kw, discharge_kw) =
                ((stored / battery.efficiency).max(0.0), (-stored * battery.efficiency).max(0.0));
            let net = hour.load_kw + charge_kw - discharge_kw;
            if charge_kw.max(discharge_kw) > power || (net < -1e-9 && !loose) {
                continue;
            }
            let grid_kw = (net - hour.pv_kw).clamp(0.0, problem.grid_kw);
            let flow = Flow {
                grid_kw,
                charge_kw,
                discharge_kw,
                unserved_kw: (net - hour.pv_kw - grid_kw).max(0.0),
                curtailed_kw: (hour.pv_kw - net.max(0.0)).max(0.0),
                ..Flow::default()
            };
            if flow.unserved_kw > hour.load_kw + 1e-9 && !loose {
                continue;
            }
            let alone = Problem { demand: vec![*hour], ..problem.clone() };
            next[to] = next[to].min(least[from] + alone.cost(&[flow]));
        }
        least = next;
    }
    least[level(battery.start_kwh)..].iter().copied().fold(f64::INFINITY, f64::min)
}

/// Small problems in whole numbers, prices in tenths, some zero and some negative.
fn small(grid_limited: bool) -> impl Strategy<Value = Problem> {
    let hour = (0..12_u8, 0..8_u8, -2..12_i8).prop_map(|(load, pv, price)| Demand {
        load_kw: f64::from(load),
        pv_kw: f64::from(pv.saturating_sub(3)),
        price: f64::from(price) / 10.0,
    });
    let grid = if grid_limited { (2..14_u8).prop_map(f64::from).boxed() } else { Just(UNLIMITED).boxed() };
    (prop::collection::vec(hour, 1..7), grid, 0..3_u8, 3..9_u8, 0..6_u8, 1..7_u8).prop_map(
        |(demand, grid_kw, min, size, start, power)| {
            let (min, max) = (f64::from(min), f64::from(min + size));
            let start_kwh = (min + f64::from(start)).min(max);
            let battery = battery(f64::from(power), 1.0, 0.01);
            Problem { demand, grid_kw, battery: Some(Battery { min_kwh: min, max_kwh: max, start_kwh, ..battery }) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without losses this is a flow through a network, whose best plans lie on whole numbers when its limits do: the
    /// search finds one of them.
    #[test]
    fn without_losses_a_plan_costs_exactly_what_the_best_of_all_plans_costs(problem in small(true)) {
        let flows = problem.solve().expect("solved");
        let (found, best) = (problem.cost(&flows), search(&problem, 1.0, false));
        prop_assert!((found - best).abs() < 1e-6, "{found} for {best}");
    }

    /// A plan's charge moved to the nearest multiples of a step changes what goes in or out by at most one step an hour.
    #[test]
    fn with_losses_a_plan_costs_no_more_than_any_on_a_lattice_and_little_less(problem in small(false)) {
        let step = 0.125;
        let (efficiency, wear_per_kwh) = (0.9, 0.03);
        let battery = problem.battery.map(|battery| Battery { efficiency, wear_per_kwh, ..battery });
        let problem = Problem { battery, ..problem };
        let found = problem.cost(&problem.solve().expect("solved"));
        let dearest = problem.demand.iter().map(|hour| hour.price).fold(0.0, f64::max);
        let error = problem.demand.len() as f64 * step / efficiency * (dearest + wear_per_kwh + CURTAILED_PER_KWH);
        prop_assert!(found <= search(&problem, step, false) + 1e-6);
        prop_assert!(found >= search(&problem, step, true) - error - 1e-6);
    }

    #[test]
    fn every_plan_keeps_the_limits_and_never_charges_and_discharges_at_once(
        problem in small(true),
        efficiency in 0.5..1.0_f64,
    ) {
        let battery = Battery { efficiency, ..problem.battery.expect("a battery") };
        let problem = Problem { battery: Some(battery), ..problem };
        let flows = problem.solve().expect("solved");
        let mut before = battery.start_kwh;
        for (hour, flow) in problem.demand.iter().zip(&flows) {
            let offered = flow.grid_kw + flow.discharge_kw + hour.pv_kw - flow.curtailed_kw + flow.unserved_kw;
            prop_assert!((offered - hour.load_kw - flow.charge_kw).abs() < 1e-6, "{flow:?}");
            let stored = flow.charge_kw * efficiency - flow.discharge_kw / efficiency;
            prop_assert!((flow.soc_kwh - before - stored).abs() < 1e-6, "{flow:?}");
            before = flow.soc_kwh;
            prop_assert!((battery.min_kwh - 1e-6..=battery.max_kwh + 1e-6).contains(&before));
            prop_assert!((-1e-6..=problem.grid_kw + 1e-6).contains(&flow.grid_kw));
            prop_assert!(flow.charge_kw.min(flow.discharge_kw) < 1e-6, "{flow:?}");
            prop_assert!(flow.charge_kw.max(flow.discharge_kw) < battery.power_kw + 1e-6);
        }
        prop_assert!(before >= battery.start_kwh - 1e-6);
        prop_assert!(problem.cost(&flows) <= problem.cost(&problem.without_battery()) + 1e-6);
    }

    #[test]
    fn a_battery_without_power_changes_nothing(problem in small(true)) {
        let powerless = problem.battery.map(|battery| Battery { power_kw: 1e-12, ..battery });
        let flows = Problem { battery: powerless, ..problem.clone() }.solve().expect("solved");
        prop_assert!((problem.cost(&flows) - problem.cost(&problem.without_battery())).abs() < 1e-6);
    }
}
