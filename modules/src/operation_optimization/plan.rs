//! [`Problem`]: when to charge and discharge one battery so that the hours ahead cost least. A linear programme; knows
//! powers and prices, not topics.

use good_lp::{Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, microlp, variable};

/// What a kWh that is not delivered counts as: more than any price, both ways through any battery.
pub(super) const UNSERVED_PER_KWH: f64 = 1000.0;
/// What a kWh of sun that is not used counts as, so that it is used where that costs nothing.
const CURTAILED_PER_KWH: f64 = 0.001;

/// Hours of one hour each, so that kW and kWh are the same number.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) demand: Vec<Demand>,
    /// What the grid connection carries, kW; nothing is ever fed into the grid.
    pub(super) grid_kw: f64,
    pub(super) battery: Option<Battery>,
}

/// What one hour asks for and offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) load_kw: f64,
    /// Power of the sun, used or not.
    pub(super) pv_kw: f64,
    /// Per kWh from the grid. Below zero it counts as zero in the plan: nothing is wasted for money.
    pub(super) price: f64,
}

/// `min_kwh ≤ start_kwh ≤ max_kwh`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Battery {
    pub(super) min_kwh: f64,
    pub(super) max_kwh: f64,
    pub(super) start_kwh: f64,
    /// At most, either way, outside the battery.
    pub(super) power_kw: f64,
    /// Share that arrives, each way, above 0 and at most 1.
    pub(super) efficiency: f64,
    /// Per kWh in or out, above 0.
    pub(super) wear_per_kwh: f64,
}

/// What happens in one hour. `grid + discharge + pv − curtailed + unserved = load + charge`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) grid_kw: f64,
    pub(super) charge_kw: f64,
    pub(super) discharge_kw: f64,
    /// In the battery at the end of the hour.
    pub(super) soc_kwh: f64,
    pub(super) unserved_kw: f64,
    pub(super) curtailed_kw: f64,
}

impl Problem {
    /// The cheapest flows, by `Problem::cost`.
    ///
    /// There always are some (an idle battery), and none charge and discharge within one hour: instead of charging `c`
    /// and discharging `d`, taking only the difference leaves the battery the same, draws `d (1/η² − 1) ≥ 0` less power,
    /// and wears it less, which is cheaper at any price from zero up. Power that cannot be drawn less, because none came
    /// from the grid, is sun left over or charge kept, which is worth no less.
    ///
    /// # Errors
    /// What the solver says when it cannot cope with the numbers.
    pub(super) fn solve(&self) -> Result<Vec<Flow>, String> {
        match &self.battery {
            Some(battery) if battery.power_kw > 0.0 && battery.max_kwh > battery.min_kwh => self.with(battery),
            _ => Ok(self.without_battery()),
        }
    }

    /// The flows when the battery stays as it is: the sun first, then the grid as far as it reaches.
    pub(super) fn without_battery(&self) -> Vec<Flow> {
        let soc_kwh = self.battery.map_or(0.0, |battery| battery.start_kwh);
        let flow = |hour: &Demand| {
            let net = hour.load_kw - hour.pv_kw;
            let grid_kw = net.clamp(0.0, self.grid_kw);
            let unserved_kw = (net - grid_kw).max(0.0);
            Flow { grid_kw, soc_kwh, unserved_kw, curtailed_kw: (-net).max(0.0), ..Flow::default() }
        };
        self.demand.iter().map(flow).collect()
    }

    /// What is minimised: energy, wear, and a penalty on what is not delivered or not used.
    #[cfg(test)]
    pub(super) fn cost(&self, flows: &[Flow]) -> f64 {
        let wear = self.battery.map_or(0.0, |battery| battery.wear_per_kwh);
        let of = |(hour, flow): (&Demand, &Flow)| {
            hour.price.max(0.0) * flow.grid_kw
                + wear * (flow.charge_kw + flow.discharge_kw)
                + UNSERVED_PER_KWH * flow.unserved_kw
                + CURTAILED_PER_KWH * flow.curtailed_kw
        };
        self.demand.iter().zip(flows).map(of).sum()
    }

    fn with(&self, battery: &Battery) -> Result<Vec<Flow>, String> {
        let mut variables = ProblemVariables::new();
        let hours: Vec<Hour> =
            self.demand.iter().map(|demand| Hour::new(&mut variables, self, demand, battery)).collect();
        let cost: Expression = self.demand.iter().zip(&hours).map(|(demand, hour)| hour.cost(demand, battery)).sum();

        let mut model = variables.minimise(cost).using(microlp);
        let mut before = Expression::from(battery.start_kwh);
        for (demand, hour) in self.demand.iter().zip(&hours) {
            let offered = hour.grid + hour.discharge - hour.curtailed + hour.unserved;
            model.add_constraint(constraint!(offered - hour.charge == demand.load_kw - demand.pv_kw));
            let stored = hour.charge * battery.efficiency - hour.discharge * (1.0 / battery.efficiency);
            model.add_constraint(constraint!(hour.soc == before + stored));
            before = hour.soc.into();
        }
        // Otherwise the cheapest end of every day is an empty battery.
        model.add_constraint(constraint!(before >= battery.start_kwh));
        let solution = model.solve().map_err(|e| e.to_string())?;
        Ok(hours.iter().map(|hour| hour.flow(&solution)).collect())
    }
}

/// One hour's unknowns.
struct Hour {
    grid: Variable,
    charge: Variable,
    discharge: Variable,
    soc: Variable,
    unserved: Variable,
    curtailed: Variable,
}

impl Hour {
    fn new(variables: &mut ProblemVariables, problem: &Problem, demand: &Demand, battery: &Battery) -> Self {
        let mut upto = |max: f64| variables.add(variable().min(0.0).max(max));
        Self {
            grid: upto(problem.grid_kw),
            charge: upto(battery.power_kw),
            discharge: upto(battery.power_kw),
            unserved: upto(demand.load_kw),
            curtailed: upto(demand.pv_kw),
            soc: variables.add(variable().min(battery.min_kwh).max(battery.max_kwh)),
        }
    }

    fn cost(&self, demand: &Demand, battery: &Battery) -> Expression {
        self.grid * demand.price.max(0.0)
            + (self.charge + self.discharge) * battery.wear_per_kwh
            + self.unserved * UNSERVED_PER_KWH
            + self.curtailed * CURTAILED_PER_KWH
    }

    fn flow(&self, solution: &impl Solution) -> Flow {
        Flow {
            grid_kw: solution.value(self.grid),
            charge_kw: solution.value(self.charge),
            discharge_kw: solution.value(self.discharge),
            soc_kwh: solution.value(self.soc),
            unserved_kw: solution.value(self.unserved),
            curtailed_kw: solution.value(self.curtailed),
        }
    }
}

#[cfg(test)]
mod tests;
