//! How modules depend on each other: where the results each one needs come from, the circles that must not be, and the
//! order that follows. Knows modules by their tables only; whether their names mean anything is [`super::link`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Dependency, Module, OUTPUT_PREFIX, default_output_topic};
use super::problem::Origin;
use super::reader::Notes;

/// Where the results of a module come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upstream<'m> {
    /// From this enabled module, which is called in this very process.
    Here(&'m str),
    /// Through the topic of this name.
    Topic(String),
}

/// What the records of a topic are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// Whatever the topic's table says.
    Readings,
    /// Results of a module; what its table leaves out is known.
    Results,
}

/// All modules, as far as they depend on each other.
pub(super) struct Dependencies<'m> {
    modules: &'m [Module],
    /// Sorted by name.
    enabled: Vec<&'m Module>,
    calls_modules: bool,
    /// Topics that enabled modules read as the results of others, each with the first dependency that wants it.
    results: BTreeMap<String, &'m Dependency>,
}

impl<'m> Dependencies<'m> {
    /// `modules` are sorted by name. Where none are called, all results come through topics.
    pub(super) fn new(modules: &'m [Module], calls_modules: bool) -> Self {
        let enabled = modules.iter().filter(|module| module.enabled).collect();
        let mut this = Self { modules, enabled, calls_modules, results: BTreeMap::new() };
        for dependency in this.enabled.iter().flat_map(|module| &module.depends_on) {
            if let Upstream::Topic(topic) = this.upstream(&dependency.module.value) {
                this.results.entry(topic).or_insert(dependency);
            }
        }
        this
    }

    /// The module that is declared under a name.
    pub(super) fn declared(&self, name: &str) -> Option<&'m Module> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// Where the results of the module called `name` come from.
    pub(super) fn upstream(&self, name: &str) -> Upstream<'m> {
        match self.declared(name) {
            Some(module) if module.enabled && self.calls_modules => Upstream::Here(&module.name),
            _ => Upstream::Topic(self.output_topic(name)),
        }
    }

    /// Where the module called `name` publishes, wherever it runs.
    pub(super) fn output_topic(&self, name: &str) -> String {
        let declared = self.declared(name).map(|module| module.output_topic.value.clone());
        declared.unwrap_or_else(|| default_output_topic(name))
    }

    /// The topics that enabled modules read as the results of others, each with a dependency that wants it.
    pub(super) fn results(&self) -> impl Iterator<Item = (&str, &'m Dependency)> {
        self.results.iter().map(|(topic, dependency)| (topic.as_str(), *dependency))
    }

    /// What the records of a topic are. One that modules only write needs no description, but may have one.
    pub(super) fn records(&self, topic: &str) -> Records {
        let named = || self.modules.iter().flat_map(Module::topics).any(|input| input.topic.value == topic);
        let written = || self.modules.iter().any(|module| module.output_topic.value == topic);
        if self.results.contains_key(topic) || ((topic.starts_with(OUTPUT_PREFIX) || written()) && !named()) {
            Records::Results
        } else {
            Records::Readings
        }
    }

    /// The enabled modules, each after those whose results it needs, otherwise by name.
    pub(super) fn in_order(&self) -> Vec<&'m Module> {
        let needs = self.needs();
        let mut placed: Vec<usize> = Vec::with_capacity(needs.len());
        while placed.len() < needs.len() {
            let rest = || (0..needs.len()).filter(|ix| !placed.contains(ix));
            let free = rest().find(|ix| needs[*ix].iter().all(|(upstream, _)| placed.contains(upstream)));
            // In a circle nobody is free. That was refused; the order then only has to be one.
            let next = free.or_else(|| rest().next());
            placed.extend(next);
        }
        placed.into_iter().map(|ix| self.enabled[ix]).collect()
    }

    /// Modules that wait for each other's results, or for their own, are never called. Every link that is part of a
    /// circle is named in at least one, and no circle twice.
    pub(super) fn refuse_circles(&self, notes: &Notes) {
        let needs = self.needs();
        let mut circles: BTreeSet<Vec<usize>> = BTreeSet::new();
        for (from, links) in needs.iter().enumerate() {
            for (to, _) in links {
                let Some(mut circle) = path(&needs, *to, from) else { continue };
                // It begins where its name is the smallest, wherever it was found.
                let least = circle.iter().enumerate().min_by_key(|(_, module)| **module).map_or(0, |(at, _)| at);
                circle.rotate_left(least);
                circles.insert(circle);
            }
        }
        for circle in circles {
            let names: Vec<&str> =
                circle.iter().chain(circle.first()).map(|ix| self.enabled[*ix].name.as_str()).collect();
            let second = circle.get(1).unwrap_or(&circle[0]);
            let link = needs[circle[0]].iter().find(|(upstream, _)| upstream == second);
            let message = format!("module `{}` needs its own results: {}", names[0], names.join(" → "));
            let help = "an arrow leads to the module whose results are needed; take one of them out";
            notes.error(link.map_or(&Origin::Default, |(_, origin)| origin), message, help);
        }
    }

    /// Per enabled module the enabled modules whose results it needs, each with the place that says so.
    fn needs(&self) -> Vec<Vec<(usize, &'m Origin)>> {
        let links = |module: &&'m Module| {
            let link = |(ix, upstream): (usize, &&'m Module)| Some((ix, self.link(module, upstream)?));
            self.enabled.iter().enumerate().filter_map(link).collect()
        };
        self.enabled.iter().map(links).collect()
    }

    /// The place at which `module` asks for the results of `upstream`, by its name or by its topic.
    fn link(&self, module: &'m Module, upstream: &Module) -> Option<&'m Origin> {
        let topic = &upstream.output_topic.value;
        let mut dependencies = module.depends_on.iter().map(|dependency| &dependency.module);
        // A module that depends on itself by name is told so where it says so.
        let by_name = dependencies.find(|other| {
            other.value != module.name && (other.value == upstream.name || self.output_topic(&other.value) == *topic)
        });
        let by_topic = || module.topics().map(|input| &input.topic).find(|input| input.value == *topic);
        by_name.or_else(by_topic).map(|placed| &placed.origin)
    }
}

/// The shortest way from one module to another along what they need, both included.
fn path(needs: &[Vec<(usize, &Origin)>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut reached = vec![(from, None)];
    let mut next = 0;
    while let Some(&(at, _)) = reached.get(next) {
        if at == to {
            let back = |step: &usize| reached[*step].1;
            let mut path: Vec<usize> =
                std::iter::successors(Some(next), back).map(|step: usize| reached[step].0).collect();
            path.reverse();
            return Some(path);
        }
        for (upstream, _) in &needs[at] {
            if !reached.iter().any(|(seen, _)| seen == upstream) {
                reached.push((*upstream, Some(next)));
            }
        }
        next += 1;
    }
    None
}
